"""Configuration text in, settings or exactly these mistakes out."""

import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
from msgspec import Meta, field

from consumer import config
from consumer.errors import ConfigurationError, Unusable
from consumer.settings import Section, Settings, SinkOptions, SourceOptions, TlsSettings
from consumer.values import Duration, Secret, Size


class Login(Section, frozen=True, kw_only=True):
    user: str
    password: Secret = Secret("")


class QueueOptions(SourceOptions, frozen=True, kw_only=True):
    urls: Annotated[list[str], Meta(min_length=1)]
    prefetch: Annotated[int, Meta(ge=1, le=1000)] = 500
    interval: Duration = Duration(5)
    login: Login | None = None
    logins: tuple[Login, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for url in self.urls:
            if not url.startswith("amqp"):
                raise ValueError(f"{url} is no AMQP URL")


class WebhookOptions(SourceOptions, frozen=True, kw_only=True):
    path: str
    on_invalid: Literal["accept", "reject"] = "accept"


class FileTls(Section, frozen=True, kw_only=True):
    ca: str = ""


class FileOptions(SinkOptions, frozen=True, kw_only=True):
    path: str
    sync: bool = True
    tls: FileTls | None = None


class BrokenPlugins(dict[str, type[SinkOptions]]):
    def __getitem__(self, name: str) -> type[SinkOptions]:
        if name == "broken":
            raise Unusable("`broken` of acme cannot be imported", "Repair that package")
        return super().__getitem__(name)


SOURCES: dict[str, type[SourceOptions]] = {"queue": QueueOptions, "radial-webhook": WebhookOptions}
SINKS = BrokenPlugins({"file": FileOptions, "broken": SinkOptions})


def read(text: str, file: str = "consumer.toml", **environ: str) -> Settings:
    return config.loads(text, file=file, environ=environ, source_types=SOURCES, sink_types=SINKS)


def mistakes(text: str, file: str = "consumer.toml", **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(text, file, **environ)
    return [str(mistake) for mistake in caught.value.mistakes]


QUEUE = '[[sources]]\ntype = "queue"\nname = "q"\nurls = ["amqp://x"]\n'
FILE = '[[sinks]]\ntype = "file"\nname = "f"\npath = "p"\n'
SECURE = '[[sinks]]\ntype = "file"\nname = "f"\ntls = { ca = "/nowhere/ca" }\npath = "p"\n'


def test_an_empty_file_is_all_defaults() -> None:
    assert read("") == Settings(file="consumer.toml")


def test_a_whole_file_becomes_typed_frozen_values() -> None:
    settings = read(
        """
        journal = { url = "sqlite:/var/lib/j.db", retention = "7d" }
        webhooks.listen = "0.0.0.0:8080"
        webhooks.max_body = "2MiB"
        webhooks.auth = { type = "basic", username = "u", password = "${PASSWORD}" }
        webhooks.tls.certificate = "/dev/null"
        webhooks.tls.key = "/dev/null"
        [[sources]]
        type = "queue"
        name = "q"
        urls = ["amqps://user:${PASSWORD}@host/${VHOST:-main}", "amqp://$${x}"]
        prefetch = "${PREFETCH:-7}"
        login = { user = "me" }
        headers = { a = "${VHOST:-h}" }
        [[sources.logins]]
        user = "first"
        [[sources.logins]]
        user = "second"
        [[sinks]]
        type = "file"
        name = "f"
        path = "p"
        sync = "${SYNC:-false}"
        filter.sources = ["q"]
        filter.types = ["opened", "backorder.cleared"]
        retry.attempts = 3
        """,
        PASSWORD="s3cret",
        VHOST="",
    )
    assert settings.journal.retention == Duration(7 * 86400)
    assert settings.webhooks.max_body == Size(2 << 20)
    assert settings.webhooks.auth.password.reveal() == "s3cret"
    assert settings.webhooks.tls == TlsSettings(certificate="/dev/null", key="/dev/null")
    (queue,) = settings.sources
    assert queue == QueueOptions(
        type="queue",
        name="q",
        urls=["amqps://user:s3cret@host/main", "amqp://${x}"],
        prefetch=7,
        login=Login(user="me"),
        headers={"a": "h"},
        logins=(Login(user="first"), Login(user="second")),
    )
    (sink,) = settings.sinks
    assert isinstance(sink, FileOptions)
    assert sink.sync is False
    assert sink.filter.types == ["opened", "backorder.cleared"]
    assert sink.retry.attempts == 3


MISTAKES: dict[str, tuple[str, list[str]]] = {
    "unknown key, near one": (
        QUEUE + "prefech = 3\n",
        ["line 5: sources[0].prefech: unknown key; did you mean `prefetch`?"],
    ),
    "unknown key, near none": (
        '[journal]\nurl = "sqlite:x"\n\nzzz = 1\n',
        ["line 4: journal.zzz: unknown key; known are `url`, `retention`"],
    ),
    "unknown key_file": (
        '[admin]\ntokn_file = "x"',
        ["line 2: admin.tokn_file: unknown key; did you mean `token_file`?"],
    ),
    "unknown table": (
        "[[sink]]\nname = 'x'",
        ["line 1: sink: unknown key; did you mean `sinks`?"],
    ),
    "a field that is no key": (
        'file = "x"',
        [
            (
                "line 1: file: unknown key; known are `journal`, `webhooks`, `admin`, `schemas`,"
                " `privacy`, `log`, `intake`, `stop`, `sources`, `sinks`"
            )
        ],
    ),
    "section that is no table": ("journal = 3", ["line 1: journal: must be a table"]),
    "sources that are a table": (
        "[sources]\na = 1",
        ["line 1: sources: must be an array of tables; write [[sources]]"],
    ),
    "a source that is no table": (
        "sinks = [3]",
        ["line 1: sinks[0]: must be a table; write [[sinks]]"],
    ),
    "missing keys": (
        '\n[[sources]]\ntype = "queue"\n',
        [
            "line 2: sources[0].name: missing; this key is required",
            "line 2: sources[0].urls: missing; this key is required",
        ],
    ),
    "missing type": (
        '[[sinks]]\nname = "f"',
        ["line 1: sinks[0].type: missing; installed are `file`, `broken`"],
    ),
    "unknown type": (
        '[[sinks]]\nname = "f"\ntype = "fil"',
        [
            (
                "line 3: sinks[0].type: there is no type `fil` of sinks; did you mean `file`?"
                " installed are `file`, `broken`"
            )
        ],
    ),
    "type of a wrong type": (
        "[[sinks]]\ntype = 3",
        ["line 2: sinks[0].type: must be a string, not a whole number"],
    ),
    "plug-in that cannot be loaded": (
        '[[sinks]]\nname = "b"\ntype = "broken"',
        ["line 3: sinks[0].type: `broken` of acme cannot be imported. Repair that package"],
    ),
    "string for a number": (
        QUEUE + 'prefetch = "many"',
        ["line 5: sources[0].prefetch: must be a whole number, not a string"],
    ),
    "number for a string": (
        "[webhooks]\nlisten = 8080",
        ["line 2: webhooks.listen: must be a string, not a whole number"],
    ),
    "number out of range": (
        QUEUE + "prefetch = 1001",
        ["line 5: sources[0].prefetch: must be a whole number of at most 1000"],
    ),
    "number for a truth": (
        FILE + "sync = 1",
        ["line 5: sinks[0].sync: must be true or false, not a whole number"],
    ),
    "empty string": ('[journal]\nurl = ""', ["line 2: journal.url: must not be empty"]),
    "bad name": (
        '[[sinks]]\ntype = "file"\npath = "p"\nname = "a b"',
        [
            (
                "line 4: sinks[0].name: must be a string that matches"
                " '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'"
            )
        ],
    ),
    "not one of the choices": (
        '[log]\nlevel = "inof"\nformat = "xml"',
        [
            (
                'line 2: log.level: must be one of "debug", "info", "warning", "error";'
                ' did you mean `"info"`?'
            ),
            'line 3: log.format: must be one of "json", "console"',
        ],
    ),
    "bad duration and size": (
        '[journal]\nretention = "30"\n[webhooks]\nmax_body = "10MB"\ntimeout = 5\n',
        [
            (
                "line 2: journal.retention: not a duration; write a number with a unit, such as"
                ' "250ms" or "5m"'
            ),
            (
                'line 4: webhooks.max_body: not a size; write a number with a unit, such as "64KiB"'
                ' or "10MiB"'
            ),
            (
                "line 5: webhooks.timeout: not a duration; write a number with a unit, such as"
                ' "250ms" or "5m"'
            ),
        ],
    ),
    "array elements by line": (
        '[[sources]]\ntype = "queue"\nname = "q"\nurls = [\n  "amqp://x", # 1\n  3,\n  ["#"],\n]\n',
        [
            "line 6: sources[0].urls[1]: must be a string, not a whole number",
            "line 7: sources[0].urls[2]: must be a string, not an array",
        ],
    ),
    "empty array": (
        '[[sources]]\ntype = "queue"\nname = "q"\nurls = []\n',
        ["line 4: sources[0].urls: must not be empty"],
    ),
    "value of a free table": (
        QUEUE + 'headers = { "x.y" = 3 }',
        ['line 5: sources[0].headers."x.y": must be a string, not a whole number'],
    ),
    "nested tables": (
        QUEUE + "login = { usr = 'x' }\n[[sources.logins]]\n\n[[sources.logins]]\nuser = 1",
        [
            "line 5: sources[0].login.usr: unknown key; did you mean `user`?",
            "line 5: sources[0].login.user: missing; this key is required",
            "line 6: sources[0].logins[0].user: missing; this key is required",
            "line 9: sources[0].logins[1].user: must be a string, not a whole number",
        ],
    ),
    "what a table says about itself": (
        '[[sinks]]\ntype = "file"\nname = "f"\npath = "p"\n[sinks.retry]\ninitial = "2m"',
        ["line 6: sinks[0].retry.initial: must be above zero and at most max"],
    ),
    "open listener": (
        '[webhooks]\nlisten = "0.0.0.0:80"',
        [
            (
                "line 2: webhooks.listen: 0.0.0.0:80 can be reached from other machines: set"
                ' [webhooks.auth] type to "basic", "token" or "hmac", or client_ca in'
                " [webhooks.tls], or listen on 127.0.0.1"
            )
        ],
    ),
    "an address that is none": (
        '[admin]\ntoken = "t"\nlisten = "8081"',
        [
            (
                'line 3: admin.listen: not an address to listen on; write "host:port", such as'
                ' "127.0.0.1:8081"'
            )
        ],
    ),
    "a key that is too short": (
        '[privacy]\nparties = "hashed"\nkey = "short"',
        ['line 3: privacy.key: must have at least 16 characters for parties = "hashed"'],
    ),
    "two listeners on one port": (
        (
            '[[sources]]\ntype = "radial-webhook"\nname = "a"\npath = "/x"\n'
            '[admin]\nlisten = "127.0.0.1:9000"\n[webhooks]\nlisten = "127.0.0.1:9000"\n'
        ),
        [
            (
                "line 8: webhooks.listen: port 9000 is that of admin.listen too; give each listener"
                " its own"
            )
        ],
    ),
    "a listener on the other's default port": (
        (
            '[[sources]]\ntype = "radial-webhook"\nname = "a"\npath = "/x"\n'
            '[admin]\ntoken = "t"\nlisten = "0.0.0.0:8080"\n'
        ),
        [
            (
                "line 7: admin.listen: port 8080 is that of webhooks.listen too; give each listener"
                " its own"
            )
        ],
    ),
    "files that are not there": (
        '[schemas]\ndirectory = "/dev/null"\n'
        '[webhooks.tls]\ncertificate = "/nowhere/c"\nkey = "/dev"\n' + SECURE,
        [
            "line 2: schemas.directory: /dev/null is no directory; name the one with the XSDs",
            "line 4: webhooks.tls.certificate: there is no file /nowhere/c",
            "line 5: webhooks.tls.key: /dev is a directory; name a PEM file",
            "line 9: sinks[0].tls.ca: there is no file /nowhere/ca",
        ],
    ),
    "a schema directory that is not there": (
        '[schemas]\ndirectory = "/nowhere"',
        ["line 2: schemas.directory: there is no directory /nowhere"],
    ),
    "missing variable": (
        '[admin]\ntoken = "${TOKEN}"\nlisten = "${ADDRESS:-0.0.0.0}:1"',
        [
            (
                "line 2: admin.token: the environment variable TOKEN is not set; set it, or write"
                " ${TOKEN:-default}"
            )
        ],
    ),
    "malformed variable": (
        '[admin]\ntoken = "${TO KEN}"',
        ["line 2: admin.token: write ${NAME} or ${NAME:-default}, and $${ for a literal ${"],
    ),
    "names taken twice": (
        QUEUE + QUEUE + "prefetch = 0\n" + FILE.replace('"f"', '"q"'),
        [
            "line 7: sources[1].name: two sources of one name; sources[0] on line 1 has it already",
            "line 9: sources[1].prefetch: must be a whole number of at least 1",
        ],
    ),
    "two webhooks on one path": (
        (
            '[[sources]]\ntype = "radial-webhook"\nname = "a"\npath = "/x"\n'
            '[[sources]]\ntype = "radial-webhook"\nname = "b"\npath = "/x"\n'
        ),
        ["line 8: sources[1].path: two webhooks on one path; sources[0] has it already (line 4)"],
    ),
    "filters that name nothing": (
        QUEUE + FILE + 'filter = { sources = ["q", "qq"], types = ["open", "nonsense"] }',
        [
            "line 9: sinks[0].filter.types[0]: no event type; did you mean `opened`?",
            (
                "line 9: sinks[0].filter.types[1]: no event type; known are `opened`, `presell`,"
                " `delayed`, `allocation_cancelled`, `updated`, `cleared`"
            ),
            "line 9: sinks[0].filter.sources[1]: no source of this name; did you mean `q`?",
        ],
    ),
    "journal elsewhere": (
        '[journal]\nurl = "postgresql://u:pw@h/d"',
        ["line 2: journal.url: PostgreSQL is not available in this version; write sqlite:PATH"],
    ),
    "journal nowhere": (
        '[journal]\nurl = "sqlite:///var/x"',
        [
            (
                "line 2: journal.url: write the path right after `sqlite:` without slashes before"
                " it, such as sqlite:var/journal.db or sqlite:/var/lib/journal.db"
            )
        ],
    ),
    "syntax": ("[journal]\nurl = sqlite\n", ["line 2: syntax: not TOML: Invalid value"]),
    "syntax at the end": ("a = [\n1,\n", ["line 3: syntax: not TOML: Invalid value"]),
    "nested without end": (
        "a = " + "[" * 5000,
        ["syntax: not TOML: arrays or tables are nested too deeply"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named_with_key_line_and_a_way_out(case: str) -> None:
    text, expected = MISTAKES[case]
    assert mistakes(text) == expected


def test_a_reason_shows_variables_as_the_file_writes_them() -> None:
    assert mistakes(
        '[[sources]]\ntype = "queue"\nname = "q"\nurls = ["http://me:${PASSWORD}@${HOST}/"]\n'
        '[[sinks]]\ntype = "${KIND}"\n'
        '[webhooks]\nlisten = "${HOST}:80"\n',
        PASSWORD="hunter2",
        HOST="10.1.2.3",
        KIND="fille",
    ) == [
        "line 1: sources[0]: http://…@${HOST}/ is no AMQP URL",
        (
            "line 6: sinks[0].type: there is no type `${KIND}` of sinks; did you mean `file`?"
            " installed are `file`, `broken`"
        ),
        (
            "line 8: webhooks.listen: ${HOST}:80 can be reached from other machines: set"
            ' [webhooks.auth] type to "basic", "token" or "hmac", or client_ca in [webhooks.tls],'
            " or listen on 127.0.0.1"
        ),
    ]


def test_a_key_may_come_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret ${NOT_EXPANDED}\n")
    (tmp_path / "timeout").write_bytes(b"9s\r\n")
    settings = read(
        '[webhooks]\ntimeout_file = "timeout"\n'
        '[webhooks.auth]\ntype = "basic"\nusername = "u"\npassword_file = "${DIR:-.}/password"\n',
        str(tmp_path / "consumer.toml"),
    )
    assert settings.webhooks.auth.password.reveal() == "s3cret ${NOT_EXPANDED}"
    assert settings.webhooks.timeout == Duration(9)


def test_key_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "level").write_text("hunter2")
    (tmp_path / "empty").write_text("\n")
    found = mistakes(
        '[journal]\nurl = "sqlite:x"\nurl_file = "level"\n'
        '[admin]\ntoken_file = "absent"\n'
        '[privacy]\nkey_file = "binary"\n'
        '[schemas]\ndirectory_file = "large"\nstrict_file = "level"\n'
        '[log]\nlevel_file = "level"\nformat_file = 3\n'
        '[webhooks]\nlisten_file = "level"\ntimeout_file = "${ABSENT}"\n'
        '[webhooks.auth]\ntype = "token"\ntoken_file = "empty"',
        str(tmp_path / "consumer.toml"),
    )
    assert [line.replace(f"{tmp_path}{os.sep}", "") for line in found] == [
        "line 3: journal.url_file: given together with `url`; keep one of them",
        "line 5: admin.token_file: absent cannot be read: No such file or directory",
        "line 7: privacy.key_file: binary is not UTF-8 text",
        "line 9: schemas.directory_file: large is larger than 64 KiB; that is no value for a key",
        "line 10: schemas.strict_file: unknown key; did you mean `strict`?",
        'line 12: log.level_file: must be one of "debug", "info", "warning", "error"',
        "line 13: log.format_file: must be a string, not a whole number",
        (
            "line 16: webhooks.timeout_file: the environment variable ABSENT is not set; set it, or"
            " write ${ABSENT:-default}"
        ),
        "line 19: webhooks.auth.token_file: empty is empty; write the value into it",
    ]


def test_the_content_of_a_key_file_is_never_quoted(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("10.1.2.3:80\n")
    (reason,) = mistakes('[admin]\nlisten_file = "address"', str(tmp_path / "c.toml"))
    assert "10.1.2.3" not in reason
    assert "address can be reached from other machines" in reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file; name another one with -c FILE or $BACKORDER_CONFIG"),
        (b"a = 1\n\xff", "line 2: file: this is not UTF-8 text"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "consumer.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=reason.replace("$", r"\$")):
        config.load(file, environ={}, source_types=SOURCES, sink_types=SINKS)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="this is a directory"):
        config.load(tmp_path, environ={}, source_types=SOURCES, sink_types=SINKS)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "consumer.toml"
    file.write_text('[log]\r\nlevel = "debug"\r\n', encoding="utf-8-sig")
    settings = config.load(file, environ={}, source_types=SOURCES, sink_types=SINKS)
    assert settings.log.level == "debug"
    assert settings.file == str(file)


def test_an_empty_variable_is_a_value_only_where_a_default_says_so() -> None:
    reason = "line 2: admin.token: the environment variable TOKEN is empty; set it, or write"
    assert mistakes('[admin]\ntoken = "${TOKEN}"', TOKEN="") == [f"{reason} ${{TOKEN:-default}}"]
    assert read('[admin]\ntoken = "${TOKEN:-}"', TOKEN="").admin.token.reveal() == ""


def test_a_variable_that_is_no_text_is_a_mistake_and_not_shown() -> None:
    value = os.fsdecode(b"hunter2-hunter2-\xff")
    for written in ("${K}", "${K:-default}"):
        text = f'[privacy]\nparties = "hashed"\nkey = "{written}"'
        assert mistakes(text, K=value) == [
            "line 3: privacy.key: the environment variable K is not UTF-8 text"
        ]


def test_a_null_character_is_in_no_name_of_a_file() -> None:
    assert mistakes('[admin]\ntoken_file = "a\\u0000b"\n') == [
        "line 2: admin.token_file: must be the name of a file; it has a null character in it"
    ]
    assert mistakes('[schemas]\ndirectory = "a\\u0000b"\n') == [
        "line 2: schemas.directory: there is no directory a\0b"
    ]


def test_what_may_not_be_looked_for_is_told() -> None:
    # Too long a name fails as a directory does that may not be searched, whoever runs the test.
    name = "n" * 256
    assert mistakes(
        f'[schemas]\ndirectory = "{name}"\n[webhooks]\ntls.certificate = "{name}"\n'
        'tls.key = "/dev/null"\n'
    ) == [
        f"line 2: schemas.directory: {name} cannot be read: File name too long",
        f"line 4: webhooks.tls.certificate: {name} cannot be read: File name too long",
    ]


def test_the_file_is_the_one_named_then_that_of_the_environment_then_here() -> None:
    named = Path("named.toml")
    assert config.find(named, {"BACKORDER_CONFIG": "elsewhere.toml"}) == named
    assert config.find(None, {"BACKORDER_CONFIG": "elsewhere.toml"}) == Path("elsewhere.toml")
    assert config.find(None, {"BACKORDER_CONFIG": ""}) == Path("consumer.toml")


def test_a_mistake_in_the_content_of_a_key_file_is_told_at_that_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    text = '[privacy]\nparties = "hashed"\nkey_file = "key"'
    assert mistakes(text, str(tmp_path / "c.toml")) == [
        'line 3: privacy.key_file: must have at least 16 characters for parties = "hashed"'
    ]


def test_a_listener_that_nothing_needs_takes_no_port() -> None:
    assert read('[admin]\nlisten = "127.0.0.1:8080"').admin.listen == "127.0.0.1:8080"


def test_a_glance_needs_nothing_but_the_journal_to_be_right(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        '[journal]\nurl = "sqlite:${PLACE}/j.db"\n[[sources]]\nname = "a"\n'
        'urls = ["${SECRET}"]\n[[sources]]\nname = 3\n[[sinks]]\nname = "b"\ntype = 4\n'
    )
    assert config.glance(file, environ={"PLACE": "/var"}) == ("sqlite:/var/j.db", ["a"], ["b"])
    with pytest.raises(ConfigurationError, match=r"line 2: journal\.url: the environment variable"):
        config.glance(file, environ={})
    file.write_text("sources = 3")
    assert config.glance(file, environ={}) == ("sqlite:var/journal.db", [], [])


def test_a_journal_given_by_hand_is_judged_likewise() -> None:
    assert config.journal_path("sqlite:/a/b") == Path("/a/b")
    with pytest.raises(
        ConfigurationError, match="--journal: url: not a journal; write sqlite:PATH"
    ):
        config.journal_path("var/journal.db")
