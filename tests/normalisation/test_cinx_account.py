"""What CINX says of accounts: subscriptions, bearer tokens and templates."""

from datetime import date

import pytest

from cinx_rows import GUID, Json, as_json, as_xml
from consumer.errors import Refused
from consumer.normalisation.cinx_account import (
    Subscription,
    Subscriptions,
    read_bearer,
    read_subs,
    read_template,
)
from consumer.values import Secret

JSON, XML = "application/json", "application/xml"
TOKEN = "dfed7d88-adf8-5356-8029-fe061c93d0fe"


def answer(*rows: object) -> bytes:
    return as_json({"start_time": 1411574224.8083, "response": {}, "rows": list(rows)})


def xml_answer(*rows: str) -> bytes:
    return f"<cinx_api><response/><rows>{''.join(rows)}</rows></cinx_api>".encode()


# --- subscriptions ---------------------------------------------------------------------------


def subs(**fields: object) -> Json:
    return {
        "cinx_api_token": TOKEN,
        "user": {"first_name": "Will", "last_name": "Stone"},
        "org": {"cinx_org_id": "org-0001-4030", "name": "WTS Mechanical -DEV"},
        "subscription": {
            "status_code": 200,
            "status_message": "OK",
            "status_message_reason": None,
            "start_date": "2017-10-20",
            "end_date": "2025-11-19",
        },
    } | fields


def test_the_published_subscriptions() -> None:
    expired = {
        "status_code": 401,
        "status_message_reason": "Subscription expired on [2017-11-22]",
        "end_date": "2017-11-22",
    }
    second = subs(org={"name": "Alpine Mechanical"}, subscription=expired)
    read = read_subs(answer(subs(), second), JSON)
    assert read == Subscriptions(
        found=[
            Subscription(
                token=Secret(TOKEN), organisation="WTS Mechanical -DEV", ends=date(2025, 11, 19)
            ),
            Subscription(
                token=Secret(TOKEN),
                organisation="Alpine Mechanical",
                status=401,
                ends=date(2017, 11, 22),
            ),
        ],
        problems=[],
    )
    assert [each.active for each in read.found] == [True, False]
    assert read_subs(xml_answer(as_xml("row", subs()), as_xml("row", second)), XML) == read
    assert TOKEN not in repr(read)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"org": "ACME"}, {"organisation": "ACME"}),
        ({"org": {"cinx_org_id": "org-1", "name": ""}}, {"organisation": "org-1"}),
        ({"org": f"ACME {TOKEN}"}, {"organisation": "ACME …"}),
        ({"user": "me@example.com"}, {"active": True}),
        ({"subscription": {"status_code": "200"}}, {"active": True, "ends": None}),
        ({"subscription": {"status_code": "401"}}, {"active": False, "status": 401}),
        ({"subscription": None}, {"active": True}),
        ({"subscription": {"end_date": "2026-01-31 13:04:53Z"}}, {"ends": date(2026, 1, 31)}),
        ({"subscription": {"end_date": "soon"}}, {"ends": None}),
        ({"subscription": {"end_date": "2026-02-31"}}, {"ends": None}),
        ({"cinx_api_token": None}, {"active": False, "token": ""}),
    ],
)
def test_a_subscription(fields: Json, expected: Json) -> None:
    [found] = read_subs(answer(subs(**fields)), JSON).found
    for name, value in expected.items():
        assert getattr(found, name) == value, name


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        subs(org=None),
        subs(org=[]),
        subs(org={"name": True}),
        subs(org={"name": "x" * 201}),
        subs(subscription={"status_code": "none"}),
    ],
)
def test_a_subscription_of_nobody_takes_none_of_the_others_with_it(row: object) -> None:
    with pytest.raises(Refused) as alone:
        read_subs(answer(row), JSON)
    read = read_subs(answer(subs(), row, subs()), JSON)
    assert [each.organisation for each in read.found] == ["WTS Mechanical -DEV"] * 2
    assert read.problems == [alone.value.reason]


def test_nobody_has_a_subscription() -> None:
    assert read_subs(answer(), JSON) == Subscriptions(found=[], problems=[])


# --- template and bearer token ---------------------------------------------------------------

TEMPLATE = {
    "doc_info": {"version": "1.0"},
    "template": {"date_expected": None, "quantity": 1.5},
    "required_put": ["cinx_guid"],
    "field_options": {},
    "api_calls": {
        "put": f"https://api.cinx.com/2.0/sub/{TOKEN}/back-order/{GUID}?x=1",
        "old": f"https://api.cinx.com/2.0/{TOKEN}/sub/back-orders",
    },
}


@pytest.mark.parametrize(
    "body",
    [
        answer(TEMPLATE),
        as_json({"response": {}, "rows": TEMPLATE}),
        as_json({"response": {"status_code": 200}, **TEMPLATE}),
        as_json(TEMPLATE),
    ],
)
def test_a_template_without_the_token_in_its_addresses(body: bytes) -> None:
    template = read_template(body, JSON)
    assert template == TEMPLATE | {
        "template": {"date_expected": None, "quantity": "1.5"},
        "api_calls": {
            "put": f"https://api.cinx.com/2.0/sub/…/back-order/{GUID}?x=1",
            "old": "https://api.cinx.com/2.0/…/sub/…",
        },
    }


def test_the_token_is_masked_wherever_it_stands() -> None:
    hidden = {"doc_info": {f"k{TOKEN}": [f"a{TOKEN}b"]}}
    assert read_template(answer(hidden), JSON, Secret(TOKEN)) == {"doc_info": {"k…": ["a…b"]}}


@pytest.mark.parametrize("body", [answer(), answer({}), b"{}", answer([])])
def test_no_template(body: bytes) -> None:
    with pytest.raises(Refused):
        read_template(body, JSON)


def test_a_bearer_token() -> None:
    said = {"token": TOKEN, "token_exp_date": "2024-08-07", "authorized": {"apps": []}}
    for body in (as_json(said), answer(said), xml_answer(as_xml("row", said))):
        token = read_bearer(body, "")
        assert token.reveal() == TOKEN
        assert isinstance(token, Secret)


@pytest.mark.parametrize("token", [None, "", " ", 7, "a\r\nX: y", "é"])
def test_no_bearer_token(token: object) -> None:
    with pytest.raises(Refused, match="no token in the answer"):
        read_bearer(as_json({"token": token}), JSON)
