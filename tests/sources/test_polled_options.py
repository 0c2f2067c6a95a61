"""What is refused about polled sources before they run: every mistake at its key, in words."""

import json

import pytest

from consumer import config
from consumer.errors import ConfigurationError
from consumer.schema_documents import config_schema
from consumer.settings import SourceOptions
from consumer.sources.cinx import CinxOptions
from consumer.sources.mvet import MvetOptions

TYPES: dict[str, type[SourceOptions]] = {"mvet": MvetOptions, "cinx": CinxOptions}
MVET = '[[sources]]\ntype = "mvet"\nname = "m"\nbase_url = "http://mvet:6569"\n'
CUSTOMERS = 'customers = ["0002789"]\n'
CINX = '[[sources]]\ntype = "cinx"\nname = "c"\n'
USER = 'username = "me"\npassword = "hunter2"\n'


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        config.loads(text, file="c.toml", environ={}, source_types=TYPES, sink_types={})
    return [str(mistake) for mistake in caught.value.mistakes]


def good(text: str) -> None:
    config.loads(text, file="c.toml", environ={}, source_types=TYPES, sink_types={})


@pytest.mark.parametrize("number", ["2789", "00002789", "000278a", "0002789 ", "", "٠٠٠٢٧٨٩"])
def test_a_customer_number_of_another_format(number: str) -> None:
    [told] = mistakes(f'{MVET}customers = ["0000001", "{number}"]')
    assert told == (
        f"line 5: sources[0].customers: {number!r} is no customer number; write its 7 digits with"
        ' leading zeros, such as "0002789"'
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (MVET + "customers = [2789]", "sources[0].customers[0]: must be a string, not a whole nu"),
        (MVET + "customers = []", "sources[0].customers: must not be empty"),
        (MVET + 'customers = "0002789"', "sources[0].customers: must be an array"),
        (MVET + 'customers = ["0002789", "0002789"]', "sources[0].customers: the same customer is"),
        (MVET, "sources[0].customers: missing; this key is required"),
        (MVET + CUSTOMERS + 'username = "me"', "sources[0].username: username and password belong"),
        (MVET + CUSTOMERS + 'interval = "0s"', "sources[0].interval: must be above zero"),
        (MVET + CUSTOMERS + 'interval = "999999999d"', "sources[0].interval: 366 days"),
        (CINX + USER + 'jitter = "999999999d"', "sources[0].jitter: 366 days"),
        (MVET + CUSTOMERS + 'cron = "often"', "sources[0].cron: "),
        (MVET + CUSTOMERS + "hold = { share = 50 }", "sources[0].hold.share: "),
        (
            MVET + CUSTOMERS + USER + 'headers = { authorization = "x" }',
            "sources[0].headers: Authorization is made of username and password",
        ),
        (CINX + 'base_url = "api.cinx.com"' + "\n" + USER, 'sources[0].base_url: must be like "h'),
        (CINX, "sources[0]: give username and password, or a bearer_token"),
        (
            CINX + 'api_token = "t0ken-4711"',
            "sources[0]: give username and password, or a bearer_token",
        ),
        (
            CINX + USER + 'bearer_token = "b"',
            'sources[0].bearer_token: goes with authentication = "bearer"',
        ),
        (
            CINX + 'authentication = "bearer"\nbearer_token = "b"',
            "sources[0]: give api_token, or username and password to look the tokens",
        ),
        (
            CINX + USER + 'api_token = "t0ken-4711"\norganisations = ["A"]',
            "sources[0].organisations: one api_token is one organisation",
        ),
        (
            CINX + USER + 'api_token = "hunter2"',
            "sources[0].api_token: no token of CINX's is shorter than 8",
        ),
        (CINX + USER + 'organisation = "A"', "sources[0].organisation: names what api_token opens"),
        (CINX + USER + 'organisations = [""]', "sources[0].organisations"),
        (CINX + USER + 'delivery = "MOON"', 'sources[0].delivery: must be one of "", "JOB SITE"'),
        (CINX + USER + "page_size = 1", "sources[0].page_size: must be a whole number of at least"),
        (CINX + USER + 'detail = "all"', 'sources[0].detail: must be one of "never", "changed"'),
        (
            CINX + USER + 'headers = { Authorization = "x" }',
            "sources[0].headers: Authorization is made of",
        ),
        (
            CINX + 'username = "m:e"\npassword = "hunter2"',
            "sources[0].username: HTTP Basic allows no colon in it",
        ),
    ],
)
def test_what_is_refused(text: str, mistake: str) -> None:
    [told] = mistakes(text)
    assert mistake in told
    assert told.startswith("line ")
    assert "hunter2" not in told


def test_what_is_good() -> None:
    good(MVET + CUSTOMERS)
    good(CINX + USER)
    good(CINX + USER + 'api_token = "t0ken-4711"\norganisation = "ours"')
    good(CINX + USER + 'organisations = ["A", "B"]\nauthentication = "bearer"')
    good(CINX + 'api_token = "t0ken-4711"\nbearer_token = "b"\nauthentication = "bearer"')


def test_an_editor_learns_what_a_customer_number_looks_like() -> None:
    schema = json.dumps(config_schema(TYPES, {}))
    assert '"pattern": "^[0-9]{7}$"' in schema


# --- several sources ---------------------------------------------------------------------------

TOKEN = 'api_token = "hunter2-hunter2"\norganisation = "A"\n'


def second(text: str) -> str:
    return text.replace('name = "', 'name = "2', 1)


@pytest.mark.parametrize(
    ("one", "other", "scope"),
    [
        (
            MVET + CUSTOMERS,
            second(MVET).replace("mvet:6569", "develop:6569") + CUSTOMERS,
            "/mvet/0002789",
        ),
        (CINX + USER + TOKEN, second(CINX) + USER + TOKEN.replace("2", "3"), "/cinx/A"),
        (CINX + USER + TOKEN, second(CINX) + 'version = "3"\n' + USER + TOKEN, "/cinx/A"),
        (CINX + USER + TOKEN, second(CINX) + USER + 'organisations = ["B", "A"]', "/cinx/A"),
    ],
)
def test_two_sources_that_would_clear_each_others_lines(one: str, other: str, scope: str) -> None:
    [told] = mistakes(one + other)
    assert told == (
        f"line {one.count(chr(10)) + 1}: sources[1]: polls {scope}, as does sources[0] (line 1),"
        " but asks somebody else for it; give both the same address and token"
    )


def test_two_sources_may_ask_one_upstream_for_different_parts() -> None:
    good(
        CINX + USER + TOKEN + 'vendor = "V1"\n' + second(CINX) + USER + TOKEN + 'vendor = "V2"\n'
        'base_url = "https://api.cinx.com/"\n'
    )
    good(MVET + CUSTOMERS + second(MVET) + 'customers = ["0000001"]')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MVET + CUSTOMERS, second(MVET).replace(":6569", ":6569/") + 'customers = ["0002789"]\n'),
        (CINX + USER + TOKEN, second(CINX) + USER + TOKEN),
        (CINX + USER + TOKEN + 'vendor = "V"\n', second(CINX) + USER + TOKEN + 'vendor = "V"\n'),
    ],
    ids=["mvet", "cinx", "cinx by vendor"],
)
def test_two_sources_are_not_each_others_second_witness(one: str, other: str) -> None:
    [told] = mistakes(one + other)
    assert told.endswith("as does sources[0] (line 1), for the same lines; poll them once")
