"""CINX: who is let in, which organisations are polled, and what is said of their subscriptions."""

from datetime import timedelta
from time import monotonic
from typing import Any
from urllib.parse import quote

import pytest

from cinx_bench import ACME, TOKEN, cinx, guids, in_rounds, server, world
from cinx_rows import as_json
from consumer.errors import ConsumerError, Denied, Refused, Unavailable
from consumer.model import utc_now
from consumer.simulators.cinx import CinxServer
from consumer.simulators.faults import Faults
from consumer.sources.cinx import api as api_module
from consumer.sources.cinx import check as check_module
from consumer.sources.cinx import subscriptions as subscriptions_module
from consumer.sources.cinx.lookup import update_template
from consumer.values import Secret
from polled_bench import Bench, logged, named
from waiting import until

BETA, GAMMA = "Beta", "Gamma Ltd"
TOKENS = {ACME: TOKEN, BETA: "token-of-beta", GAMMA: "token-of-gamma"}
SOURCES = {"/cinx/Acme%20%26%20Sons%2FWest", "/cinx/Beta", "/cinx/Gamma%20Ltd"}
HINT = "; check username, password and token, and that the CINX subscription lasts"


def day(ahead: int) -> str:
    return (utc_now() + timedelta(days=ahead)).date().isoformat()


def three(**options: Any) -> CinxServer:
    return server(world(4, tokens=TOKENS), **options)


# --- how we prove who asks -------------------------------------------------------------------


async def test_a_bearer_token_is_had_once_for_user_name_and_password() -> None:
    async with server(world()) as at:
        bench = Bench(cinx(at, authentication="bearer"))
        async with bench.running():
            await until(lambda: len(bench.surveys.tallies) >= 3)
    assert at.requests["token"] == 1
    assert await bench.types() == {"opened": 23}


@pytest.mark.parametrize("bare", [True, False])
async def test_a_bearer_token_that_has_ended_is_renewed_once(bare: bool) -> None:
    here = world()
    async with server(here, bare_token=bare) as at:
        bench = Bench(cinx(at, authentication="bearer", concurrency=4))
        async with bench.running():
            await until(lambda: len(bench.surveys.tallies) >= 1)
            at.access.withdraw()
            before = len(bench.surveys.tallies)
            await until(lambda: len(bench.surveys.tallies) >= before + 2)
            here.end(next(iter(guids(here))))
            await until(lambda: bench.metric("watched_lines") == 22)
    assert at.requests["token"] == 2
    assert set(bench.status.said) == {None}


async def test_several_requests_that_fail_together_renew_the_token_once() -> None:
    async with server(world(40)) as at:
        bench = Bench(cinx(at, authentication="bearer", concurrency=8, page_size=3))
        at.faults.force("status.401", times=8, kind="detail")
        assert await bench.poll() == ""
    assert at.requests["token"] == 2


async def test_a_login_that_is_denied_is_tried_once_a_round() -> None:
    async with server(world(40)) as at:
        source = cinx(at, authentication="bearer", concurrency=16, page_size=50)
        bench = Bench(source)
        async with in_rounds(source, bench.ground) as poll:
            at.faults.force("status.401", times=1000, kind="detail")
            at.faults.force("status.401", times=1000, after=1, kind="token")
            assert (await poll()).startswith(
                "cinx: some details cannot be had now (CINX's bearer token: HTTP 401, it does not"
            )
            assert at.requests["token"] == 2  # the first one, and one instead of it
            assert at.requests["detail"] <= 16
            assert at.requests["subs"] == 0
            assert len(bench.surveys.lacking) == 1
            at.access.withdraw()
            with pytest.raises(Denied, match="CINX's bearer token: HTTP 401"):
                await poll()
        assert at.requests["token"] == 3
    assert await bench.types() == {"opened": 40}


async def test_the_same_token_again_is_no_other_one() -> None:
    async with server(world(40)) as at:
        at.verbatim["token"] = as_json({"rows": [{"token": "always-the-same"}]})
        bench = Bench(cinx(at, authentication="bearer", concurrency=8))
        trouble = await bench.trouble()
        assert isinstance(trouble, Denied)
        assert at.requests == {"token": 2, "list": 1}


async def test_an_envelope_that_denies_renews_the_token_as_well() -> None:
    async with server(world(3)) as at:
        bench = Bench(cinx(at, authentication="bearer"))
        at.faults.force("envelope.401", kind="list")
        assert await bench.poll() == ""
    assert at.requests["token"] == 2


async def test_a_password_that_gets_no_bearer_token_is_sent_once_a_round() -> None:
    async with server(world()) as at:
        bench = Bench(cinx(at, authentication="bearer", password=Secret("wrong"), attempts=5))
        trouble = await bench.trouble()
        assert isinstance(trouble, Denied)
        assert trouble.reason.startswith("CINX's bearer token: HTTP 401, it does not accept")
    assert at.requests == {"token": 1}


async def test_a_bearer_token_of_ones_own_needs_no_password() -> None:
    async with server(world()) as at:
        bearer = Secret(at.access.issue())
        own = {"authentication": "bearer", "bearer_token": bearer, "username": "", "password": None}
        bench = Bench(cinx(at, **own))
        assert await bench.poll() == ""
        assert at.requests["token"] == at.requests["subs"] == 0
        at.access.withdraw()
        asked = at.requests["list"]
        assert isinstance(await bench.trouble(), Denied)
    assert at.requests["list"] == asked + 1
    assert at.requests["token"] == 0


@pytest.mark.parametrize("fault", ["status.401", "envelope.401", "expired"])
async def test_denied_is_one_request_a_round_and_says_what_to_do(fault: str) -> None:
    async with server(world()) as at:
        bench = Bench(cinx(at, attempts=5))
        at.faults.force(fault, times=9, kind="list")
        for rounds in (1, 2):
            trouble = await bench.trouble()
            assert isinstance(trouble, Denied)
            assert trouble.reason.endswith(HINT)
            assert at.requests == {"list": rounds}


async def test_denied_is_one_request_a_round_for_all_organisations() -> None:
    async with three() as at:
        bench = Bench(cinx(at, api_token=None, password=Secret("wrong"), attempts=5))
        for rounds in (1, 2):
            trouble = await bench.trouble()
            assert isinstance(trouble, Denied)
            assert trouble.reason == (
                f"CINX's list of subscriptions: HTTP 401, it does not accept our credentials{HINT}"
            )
            assert at.requests == {"subs": rounds}


async def test_an_organisation_that_is_denied_keeps_the_others_waiting_once() -> None:
    async with three() as at:
        bench = Bench(cinx(at, api_token=None))
        at.faults.force("status.401", kind="list")
        trouble = await bench.trouble()
        assert isinstance(trouble, Denied)
        assert trouble.reason.startswith(f"{ACME}: CINX's list: HTTP 401, it does not accept")
        assert at.requests == {"subs": 1, "list": 1}
        at.faults.force("status.401", after=2, kind="list")
        assert f"{ACME}: CINX's list: HTTP 401" in await bench.poll()
        assert {source for source, _ in await bench.open()} == {"/cinx/Beta", "/cinx/Gamma%20Ltd"}
        before = at.requests["subs"]
        await bench.poll()
        assert at.requests["subs"] == before + 1  # a token may have been replaced


# --- which organisations ---------------------------------------------------------------------


async def test_every_organisation_that_the_credentials_open_is_polled() -> None:
    async with three() as at:
        bench = Bench(cinx(at, api_token=None))
        assert await bench.poll() == ""
    assert bench.surveys.watched == {"cinx": SOURCES}
    lines = await bench.open()
    assert {source for source, _ in lines} == SOURCES
    assert {data.order.account for data in lines.values()} == {ACME, BETA, GAMMA}
    assert at.requests["subs"] == 1


async def test_a_token_that_is_configured_opens_one_under_the_name_it_is_given() -> None:
    async with three() as at:
        bench = Bench(cinx(at, api_token=Secret("token-of-beta"), organisation="our ß"))
        assert await bench.poll() == ""
    assert bench.surveys.watched == {"cinx": {"/cinx/our%20%C3%9F"}}
    assert {data.order.account for data in (await bench.open()).values()} == {"our ß"}


async def test_only_the_organisations_that_are_named_are_polled() -> None:
    async with three() as at:
        bench = Bench(cinx(at, api_token=None, organisations=(GAMMA, "Delta")))
        assert await bench.poll() == (
            "the user name and password do not open Delta; see organisations"
        )
    assert {source for source, _ in await bench.open()} == {"/cinx/Gamma%20Ltd"}


async def test_organisations_none_of_which_is_there_are_a_denial() -> None:
    async with three() as at:
        trouble = await Bench(cinx(at, api_token=None, organisations=("Delta",))).trouble()
    assert isinstance(trouble, Denied)
    assert trouble.reason.startswith(
        "there is no organisation to poll; the user name and password do not open Delta"
    )


async def test_organisations_of_one_name_are_not_mixed_up() -> None:
    async with three() as at:
        row = at.access.subscription
        rows = [row(name, TOKENS[name], expired=False) for name in (ACME, BETA)]
        rows.append(row(BETA, "another-token", expired=False))
        at.verbatim["subs"] = as_json({"rows": rows})
        bench = Bench(cinx(at, api_token=None))
        note = await bench.poll()
    assert note.startswith("several organisations are called Beta; poll each as a source of its")
    assert "token" not in note.replace("api_token", "")
    assert {source for source, _ in await bench.open()} == {"/cinx/Acme%20%26%20Sons%2FWest"}


async def test_an_organisation_whose_subscription_has_ended_holds_up_no_other() -> None:
    async with three(ends={BETA: day(-3)}) as at:
        bench = Bench(cinx(at, api_token=None))
        with logged() as lines:
            note = await bench.poll()
            await bench.poll()
        assert note == f"Beta: the CINX subscription is not active (it ended on {day(-3)})"
        assert {source for source, _ in await bench.open()} == SOURCES - {"/cinx/Beta"}
        assert named(lines, "subscription.ends") == [  # once a day
            {"source": "cinx", "organisation": BETA, "date": day(-3)}
        ]


@pytest.mark.parametrize("fill", [0, 190])
@pytest.mark.parametrize(
    ("subscription", "why"),
    [
        ({"end_date": day(-1)}, f"it ended on {day(-1)}"),
        ({"end_date": day(1)}, "CINX says status 401"),
        ({"end_date": None}, "CINX says status 401"),
    ],
)
async def test_what_cinx_says_of_a_subscription_is_not_repeated(
    fill: int, subscription: dict[str, Any], why: str
) -> None:
    async with three() as at:
        row = at.access.subscription(ACME, TOKEN, expired=True)
        told = f"{'x' * fill} {TOKEN} {quote(TOKEN, safe='')} of robin@example.com"
        row["subscription"] |= {"status_message_reason": told, **subscription}
        at.verbatim["subs"] = as_json({"rows": [row]})
        trouble = await Bench(cinx(at, api_token=None)).trouble()
    assert trouble is not None
    assert trouble.reason == (
        f"there is no organisation to poll; {ACME}: the CINX subscription is not active ({why});"
        " renew it with CINX"
    )


@pytest.mark.parametrize("broken", [{"org": None}, {"subscription": {"status_code": "none"}}])
async def test_a_subscription_that_cannot_be_read_holds_up_no_other(broken: Any) -> None:
    async with three() as at:
        rows = [at.access.subscription(*each, expired=False) for each in TOKENS.items()]
        at.verbatim["subs"] = as_json({"rows": [rows[0], rows[1] | broken, rows[2]]})
        bench = Bench(cinx(at, api_token=None))
        note = await bench.poll()
        found = await cinx(at, api_token=None).check()
    said = "1 of CINX's subscriptions cannot be read and are left out ("
    assert note.startswith(said)
    assert [line for line in found if line.startswith(said)]
    assert {source for source, _ in await bench.open()} == SOURCES - {"/cinx/Beta"}


async def test_the_lines_of_one_that_ends_stay_open_and_are_told_of() -> None:
    async with three() as at:
        bench = Bench(cinx(at, api_token=None))
        await bench.poll()
        at.access.set_end(BETA, day(-1))
        assert "Beta: CINX's list: HTTP 401" in await bench.poll()  # nobody knew; now they ask
        with logged() as lines:
            assert "Beta: the CINX subscription is not active" in await bench.poll()
    assert named(lines, "lines.unwatched") == [{"source": "cinx", "scope": "/cinx/Beta", "open": 4}]
    assert bench.metric("unwatched_lines") == 4
    assert await bench.types() == {"opened": 12}


async def test_where_all_have_ended_that_is_said_and_looked_up_again() -> None:
    async with three(ends=dict.fromkeys(TOKENS, day(-1))) as at:
        bench = Bench(cinx(at, api_token=None))
        trouble = await bench.trouble()
        assert isinstance(trouble, Denied)
        over = f"the CINX subscription is not active (it ended on {day(-1)})"
        assert f"Beta: {over}; renew it with CINX" in trouble.reason
        at.access.set_end(BETA, day(100))
        note = await bench.poll()
        assert "Beta" not in note
    assert {source for source, _ in await bench.open()} == {"/cinx/Beta"}


# --- subscriptions ---------------------------------------------------------------------------


async def test_the_end_of_a_subscription_is_warned_of_ahead_of_time() -> None:
    async with server(world(2), ends={ACME: day(5)}) as at:
        bench = Bench(cinx(at))
        with logged() as lines:
            for _ in range(2):
                assert await bench.poll() == f"{ACME}: the CINX subscription ends on {day(5)}"
    assert named(lines, "subscription.ends") == [
        {"source": "cinx", "organisation": ACME, "date": day(5)}
    ]
    ends = bench.metric("subscription_end_timestamp_seconds")
    assert ends is not None
    assert 4 * 86400 < ends - utc_now().timestamp() <= 5 * 86400
    assert at.requests["subs"] == 1


async def test_an_end_far_away_is_for_the_metrics_only() -> None:
    async with server(world(2), ends={ACME: day(90)}) as at:
        bench = Bench(cinx(at, organisation="ours"))
        with logged() as lines:
            assert await bench.poll() == ""
    assert named(lines, "subscription.ends") == []
    [(origin, organisation, ends, warn)] = bench.surveys.subscriptions
    assert (origin, organisation, str(ends), warn) == ("cinx", "ours", day(90), False)


async def test_a_look_up_that_only_warns_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(world(2), Faults(retry_after=400)) as at:
        bench = Bench(cinx(at, attempts=3))
        now = monotonic()
        for fault, wait in (("status.500", 300), ("status.429", 400), ("status.401", 6 * 3600)):
            at.faults.force(fault, kind="subs")
            before = at.requests["subs"]
            for moment in (now, now + wait - 1):
                monkeypatch.setattr(subscriptions_module, "monotonic", lambda at=moment: at)
                note = await bench.poll()
                assert note.startswith("the subscriptions cannot be looked up: CINX's list of su")
                assert f"HTTP {fault[-3:]}" in note
                assert at.requests["subs"] == before + 1
            now += wait + 1
        monkeypatch.setattr(subscriptions_module, "monotonic", lambda: now)
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 2}


async def test_a_look_up_that_only_warns_keeps_nothing_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_module, "_BRIEFLY", 0.2)
    async with server(world(2), Faults(delay=60)) as at:
        bench = Bench(cinx(at, attempts=3))
        at.faults.force("slow", kind="subs")
        assert "list of subscriptions: no answer in time" in await bench.poll()
        assert "list of subscriptions: no answer in time" in await bench.poll()
    assert [each.kind for each in at.asked] == ["list", "detail", "detail", "subs", "list"]


async def test_how_long_cinx_asks_to_wait_it_is_not_asked_for_subscriptions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with three() as at:
        bench = Bench(cinx(at, api_token=None))
        await bench.poll()
        at.faults.retry_after = 600
        at.faults.force("status.429", kind="subs")
        now = monotonic() + 6 * 3600
        for moment, asked in ((now, 2), (now + 599, 2), (now + 601, 3)):
            monkeypatch.setattr(subscriptions_module, "monotonic", lambda at=moment: at)
            await bench.poll()
            assert at.requests["subs"] == asked


async def test_what_was_looked_up_holds_while_it_cannot_be_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with three() as at:
        bench = Bench(cinx(at, api_token=None))
        at.faults.force("status.500", kind="subs")
        assert isinstance(await bench.trouble(), Unavailable)  # nothing is known yet
        await bench.poll()
        clock = monotonic() + 6 * 3600
        monkeypatch.setattr(subscriptions_module, "monotonic", lambda: clock)
        at.faults.force("status.500", kind="subs")
        assert "the subscriptions cannot be looked up" in await bench.poll()
        assert await bench.poll() == ""
        assert at.requests["subs"] == 4
        await bench.poll()
        assert at.requests["subs"] == 4
    assert await bench.types() == {"opened": 12}


# --- check -----------------------------------------------------------------------------------


async def test_a_check_tells_of_every_organisation() -> None:
    async with three(counts="true") as at:
        found = await cinx(at, api_token=None).check()
        assert found == [
            *(f"{name}: the CINX subscription is active until {day(365)}" for name in TOKENS),
            *(f"{name}: 4 lines on backorder" for name in TOKENS),
        ]
        at.counts = "absent"
        assert (await cinx(at).check())[1] == "cinx: 4 lines on the first page of back-orders"
    assert at.requests["detail"] == 0


WRONG = Secret("wrong-wrong")


@pytest.mark.parametrize(
    ("options", "ends", "said"),
    [
        ({"password": WRONG}, {}, f"HTTP 401, it does not accept our credentials{HINT}"),
        ({"password": WRONG, "api_token": None}, {}, "subscriptions: HTTP 401, it does not accept"),
        (
            {"api_token": WRONG},
            {},
            "credentials; api_token is of no organisation that the user name and password open",
        ),
        (
            {},
            {ACME: day(-2)},
            f"not active (it ended on {day(-2)}); renew it with CINX",
        ),
        (
            {"api_token": None, "organisations": (ACME, BETA)},
            {BETA: day(-2)},
            f"Beta: the CINX subscription is not active (it ended on {day(-2)})",
        ),
        ({"api_token": None, "organisations": ("Delta", BETA)}, {}, "do not open Delta"),
        ({"version": "9.9"}, {}, "CINX's list: HTTP 404, it knows no such thing; check the addr"),
    ],
)
async def test_a_check_says_what_is_wrong(
    options: dict[str, Any], ends: dict[str, str], said: str
) -> None:
    async with three(ends=ends) as at:
        with pytest.raises((Denied, Refused)) as raised:
            await cinx(at, **options).check()
    assert said in str(raised.value)
    assert TOKEN not in str(raised.value)


async def test_a_check_of_a_bearer_token_gets_one() -> None:
    async with three() as at:
        found = await cinx(at, authentication="bearer", api_token=None).check()
        assert at.requests["token"] == 1
        bad = cinx(at, authentication="bearer", password=Secret("wrong"))
        with pytest.raises(Denied, match="CINX's bearer token: HTTP 401"):
            await bad.check()
    assert found[-1] == "Gamma Ltd: 4 lines on backorder"
    assert at.requests["token"] == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("broken_row.key", "a row without one has no key"),
        ("broken_row.type", "quantity_back_ordered: not a number"),
    ],
)
async def test_a_check_reads_the_rows(fault: str, said: str) -> None:
    async with three() as at:
        at.faults.set(fault)
        with pytest.raises(Refused) as raised:
            await cinx(at).check()
        assert said in raised.value.reason
        with pytest.raises(Refused) as raised:
            await cinx(at, api_token=None).check()
        assert raised.value.reason.startswith(f"{ACME}: CINX's list: ")
        assert raised.value.reason.endswith("(and 2 more of 3)")


async def test_a_check_looks_whether_pages_fit_together() -> None:
    async with server(world(23)) as at:
        assert (await cinx(at).check())[-1] == "cinx: 23 lines on backorder"
        assert [each.query["offset"] for each in at.asked if each.kind == "list"] == ["0", "5"]
        at.verbatim["list"] = as_json({"rows": [dict(row) for row in at.world.rows(TOKEN)[:6]]})
        with pytest.raises(
            Refused, match='"start" were not known; try offset_parameter = "offset"'
        ):
            await cinx(at, offset_parameter="start").check()
        del at.verbatim["list"]
        at.faults.force("shift.moved", kind="list")
        with pytest.raises(Refused, match="pages do not fit together: rows moved from page to"):
            await cinx(at).check()


async def test_a_check_says_for_what_there_was_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "_ALL", 1.5)
    async with three(faults=Faults(delay=60)) as at:
        at.faults.force("slow", after=2, kind="list")
        found = await cinx(at, api_token=None, concurrency=1).check()
        assert found[-1] == "there was no time left to ask for Gamma Ltd"
        at.faults.force("slow", kind="list")
        with pytest.raises(Unavailable, match="within the time that a check has"):
            await cinx(at, api_token=None).check()


async def test_a_check_where_nobody_listens() -> None:
    async with server(world(2)) as at:
        pass
    with pytest.raises(
        Unavailable, match=r"CINX's list: http://127\.0\.0\.1:\d+: Connection refused"
    ):
        await cinx(at).check()


# --- the update template ---------------------------------------------------------------------


async def template(at: CinxServer, organisation: str | None = None, **options: Any) -> Any:
    return await update_template(cinx(at, **options)._options, organisation)


@pytest.mark.parametrize("form", ["json", "xml"])
async def test_the_template_comes_with_its_token_masked(form: str) -> None:
    async with server(world(1)) as at:
        found = await template(at, format=form)
    assert set(found) >= {"doc_info", "template", "required_put", "field_options", "api_calls"}
    assert all(TOKEN not in call["url"] and "/sub/…/" in call["url"] for call in found["api_calls"])


async def test_the_template_is_that_of_the_organisation_that_was_chosen() -> None:
    async with three() as at:
        assert await template(at, BETA, api_token=None)
        assert await template(at, organisations=(GAMMA,), api_token=None)
        assert await template(at, "cinx")
        for organisation, options, said in [
            (None, {"api_token": None}, f"choose one with --organisation: {ACME}, Beta, Gamma Ltd"),
            ("Delta", {"api_token": None}, "no organisation Delta here; there are: "),
            (BETA, {}, "no organisation Beta here; there are: cinx"),
        ]:
            with pytest.raises(ConsumerError) as raised:
                await template(at, organisation, **options)
            assert said in str(raised.value)


async def test_an_answer_in_quarantine_does_not_hold_the_token() -> None:
    """CINX's envelope repeats the address that was asked, and with it the token."""
    here = world(3)
    async with server(here, Faults().set("cut.json")) as upstream:
        bench = Bench(cinx(upstream, detail="never"))
        await bench.trouble()
    kept = [each.body for each in await bench.quarantined()]
    assert kept
    assert all(b"back-orders" in body for body in kept)
    assert not any(form.encode() in body for body in kept for form in (TOKEN, quote(TOKEN, "")))


@pytest.mark.parametrize("form", ["json", "xml"])
async def test_a_row_in_quarantine_does_not_hold_the_token_either(form: str) -> None:
    here = world(3)
    guid = str(here.rows(TOKEN)[0]["cinx_guid"])
    path = f"/sub/{TOKEN}/x and {quote(TOKEN, safe='')}"
    async with server(here) as at:
        here.change(guid, quantity_back_ordered={"no": "number"}, description=path)
        here.change(str(here.rows(TOKEN)[1]["cinx_guid"]), description=path)
        bench = Bench(cinx(at, detail="never", format=form))
        await bench.trouble()
    [kept] = await bench.quarantined()
    events = b"".join(event.encode() for event in await bench.events())
    for body in (kept.body, events):
        assert "/sub/…/x and …".encode() in body
        assert not any(form.encode() in body for form in (TOKEN, quote(TOKEN, safe="")))


async def test_a_list_may_call_its_offset_start() -> None:
    here = world(23)
    async with server(here) as upstream:
        bench = Bench(cinx(upstream, detail="never", offset_parameter="start"))
        assert await bench.poll() == ""
        asked = [one.query for one in upstream.asked if one.kind == "list"]
    assert len(await bench.events()) == 23
    assert all("start" in query and "offset" not in query for query in asked)


async def test_a_broken_answer_about_subscriptions_is_told_and_counted() -> None:
    async with three() as at:
        at.faults.force("not_json", kind="subs")
        bench = Bench(cinx(at, api_token=None))
        with logged() as lines:
            await bench.trouble()
    [told] = named(lines, "poll.broken")
    assert told["source"] == "cinx"
    assert "subscriptions" in told["reason"]
    assert bench.metric("poll_broken_total") == 1
