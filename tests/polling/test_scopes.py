"""Rounds over several scopes: what one that fails does to the others."""

import asyncio
from collections.abc import Sequence

import pytest

from consumer.errors import Denied, JournalUnavailable, Refused, Unavailable
from consumer.polling import scopes as scopes_module
from consumer.polling.rounds import DENIED_WAIT
from consumer.polling.scopes import Rounds
from consumer.polling.together import together

Failures = dict[str, Exception]


class Upstream:
    """Notes who asked, and how many at once; fails where it is told to."""

    def __init__(self, **failures: Exception) -> None:
        self.failures: Failures = failures
        self.asked: list[str] = []
        self.now = self.most = 0

    async def one(self, scope: str) -> str:
        self.asked.append(scope)
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(3):
            await asyncio.sleep(0)
        self.now -= 1
        if scope in self.failures:
            raise self.failures[scope]
        return "" if scope.islower() else f"note of {scope}"


class Clock:
    """The clock that does not leap, moved on by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(scopes_module, "monotonic", clock)
    return clock


async def test_notes_are_put_together_in_order() -> None:
    upstream = Upstream()
    assert await Rounds[str](at_once=2).poll(["A", "b", "C"], upstream.one) == (
        "note of A; note of C"
    )


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (3, 3), (32, 9)])
async def test_no_more_than_that_are_polled_together(at_once: int, most: int) -> None:
    upstream = Upstream()
    await Rounds[str](at_once=at_once).poll("abcdefghij", upstream.one)
    assert upstream.most == most
    assert sorted(upstream.asked) == list("abcdefghij")


async def test_the_first_one_goes_alone() -> None:
    upstream = Upstream(a=Denied("who are you"))
    with pytest.raises(Denied):
        await Rounds[str](at_once=32).poll("abc", upstream.one)
    assert upstream.asked == ["a"]


async def test_one_that_is_denied_before_another_was_let_in_ends_the_round() -> None:
    upstream = Upstream(a=Unavailable("away"), b=Denied("not you"))
    with pytest.raises(Denied, match="not you"):
        await Rounds[str](at_once=1).poll("abcd", upstream.one)
    assert upstream.asked == ["a", "b"]


async def test_one_that_is_denied_alone_waits_alone(clock: Clock) -> None:
    upstream, rounds = Upstream(b=Denied("not b")), Rounds[str](at_once=1)
    note = "note of A; not b (left out for a while; the others are polled)"

    async def asked() -> str:
        upstream.asked.clear()
        assert await rounds.poll(["A", "b", "c"], upstream.one) == note
        return "".join(upstream.asked)

    assert await asked() == "Abc"
    assert [*rounds.denied] == ["b"]
    clock.now += DENIED_WAIT - 1
    assert await asked() == "Ac"
    assert [*rounds.denied] == []
    clock.now += 1
    assert await asked() == "Acb"
    assert await asked() == "Ac"
    clock.now += DENIED_WAIT
    del upstream.failures["b"]
    note = "note of A"
    assert await asked() == "Acb"
    assert await asked() == "Abc"


async def test_one_that_is_left_out_is_counted_among_those_that_fail(clock: Clock) -> None:
    upstream, rounds = Upstream(b=Denied("no"), c=Refused("nonsense")), Rounds[str](at_once=1)
    for asked in ("abc", "ac"):
        upstream.asked.clear()
        with pytest.raises(Refused) as raised:
            await rounds.poll("abc", upstream.one)
        assert str(raised.value) == "nonsense (and 1 more of 3)"
        assert "".join(upstream.asked) == asked


async def test_credentials_that_go_bad_in_a_round_end_it(clock: Clock) -> None:
    denied = {name: Denied(f"not {name}") for name in "bcdef"}
    upstream, rounds = Upstream(**denied), Rounds[str](at_once=1)
    with pytest.raises(Denied, match="not d"):
        await rounds.poll("abcdef", upstream.one)
    assert upstream.asked == ["a", "b", "c", "d"]
    clock.now += DENIED_WAIT
    # Those that were denied before are no surprise: all of them come to be left out.
    with pytest.raises(Denied, match="not d"):
        await rounds.poll("abcdef", upstream.one)
    clock.now += DENIED_WAIT
    upstream.asked.clear()
    note = await rounds.poll("abcdef", upstream.one)
    assert note.count("left out for a while") == 5
    assert len(upstream.asked) == 6


async def test_where_all_that_are_left_are_left_out_they_are_asked(clock: Clock) -> None:
    upstream, rounds = Upstream(b=Denied("not b")), Rounds[str](at_once=1)
    await rounds.poll("ab", upstream.one)
    with pytest.raises(Denied, match="not b"):
        await rounds.poll("b", upstream.one)


async def test_the_wait_that_was_asked_for_is_that_of_the_scope(clock: Clock) -> None:
    upstream = Upstream(b=Denied("no", retry_after=DENIED_WAIT + 50))
    rounds = Rounds[str](at_once=1)
    for wait, times in ((0, 1), (DENIED_WAIT + 49, 1), (1, 2)):
        clock.now += wait
        await rounds.poll("ab", upstream.one)
        assert upstream.asked.count("b") == times


async def test_who_failed_goes_last_until_it_works_again() -> None:
    upstream, rounds = Upstream(a=Denied("no"), c=Refused("nonsense")), Rounds[str](at_once=1)

    async def asked() -> str:
        upstream.asked.clear()
        with pytest.raises((Denied, Refused)):
            await rounds.poll("abcd", upstream.one)
        return "".join(upstream.asked)

    assert await asked() == "a"
    del upstream.failures["a"]
    assert await asked() == "bcda"
    assert await asked() == "abdc"
    assert await asked() == "abdc"


@pytest.mark.parametrize(
    ("failures", "kind", "reason", "wait"),
    [
        ({"b": Unavailable("away")}, Unavailable, "away", None),
        ({"b": JournalUnavailable("full")}, JournalUnavailable, "full", None),
        ({"b": Refused("nonsense")}, Refused, "nonsense", None),
        (
            {"a": Refused("nonsense"), "c": Unavailable("away")},
            Unavailable,
            "nonsense (and 1 more of 3)",
            None,
        ),
        (
            {"a": Unavailable("1"), "b": Unavailable("2", retry_after=9)},
            Unavailable,
            "1 (and 1 more of 3)",
            9,
        ),
        ({"a": Refused("1"), "c": Refused("2")}, Refused, "1 (and 1 more of 3)", None),
    ],
)
async def test_all_have_their_turn_before_a_failure_is_told(
    failures: Failures, kind: type[Exception], reason: str, wait: float | None
) -> None:
    upstream = Upstream(**failures)
    with pytest.raises((Unavailable, Refused)) as raised:
        await Rounds[str](at_once=2).poll("abc", upstream.one)
    assert type(raised.value) is kind
    assert str(raised.value) == reason
    assert getattr(raised.value, "retry_after", None) == wait
    assert sorted(upstream.asked) == ["a", "b", "c"]


async def test_who_asks_for_time_gets_it_from_all() -> None:
    upstream = Upstream(b=Unavailable("busy", retry_after=3600))
    with pytest.raises(Unavailable, match="busy") as raised:
        await Rounds[str](at_once=1).poll("abcd", upstream.one)
    assert raised.value.retry_after == 3600
    assert upstream.asked == ["a", "b"]


async def test_a_bug_goes_before_a_denial() -> None:
    upstream = Upstream(a=Refused("no"), b=Denied("no"), c=LookupError("a bug"))
    with pytest.raises(LookupError):
        await Rounds[str](at_once=2).poll("abc", upstream.one)


async def test_calls_together_come_back_in_order() -> None:
    async def call(number: int) -> int:
        for _ in range(5 - number):
            await asyncio.sleep(0)
        return number

    assert await together(call(number) for number in range(5)) == [0, 1, 2, 3, 4]
    assert await together([]) == []


async def test_the_first_call_that_fails_ends_the_others() -> None:
    ended: list[str] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise Unavailable("away")

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waits")

    calls: Sequence[object] = ()
    with pytest.raises(Unavailable, match="away"):
        calls = await together([waits(), fails()])
    assert (calls, ended) == ((), ["waits"])
