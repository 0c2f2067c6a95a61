"""A fuzzer that looks at which code an input reaches and breeds those that reach more: `make fuzz`.

It runs until it is told to stop, and so is no part of `make test`:

    make fuzz ARGS="messages -max_total_time=600"

TARGET is one of `messages`, `mvet`, `cinx`; everything behind it goes to libFuzzer. What it
finds is written to `crash-*` in `var/fuzz/TARGET`, where it also keeps what it bred: the next run
goes on from there.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["consumer"]):
    from consumer.errors import Refused
    from consumer.normalisation.polled import POLLED
    from consumer.settings import PrivacySettings
    from consumer.testing.builders import message
    from consumer.understanding import entry_within
    from consumer.validation import Schemas

_DATA = Path(__file__).parent.parent / "data"
_TARGETS = ("messages", "mvet", "cinx")
_ACCOUNT = "0002789"  # that of the sample


def _seeds(target: str) -> list[bytes]:
    """What the fuzzer begins with: documents, or the arrays of rows in them."""
    if target == "messages":
        return [file.read_bytes() for file in sorted((_DATA / "radial").glob("*.xml"))]
    files = sorted((_DATA / target).glob("*.json"))
    answers = [json.loads(file.read_bytes()) for file in files]
    rows = [answer["rows"] if isinstance(answer, dict) else answer for answer in answers]
    return [json.dumps(each).encode() for each in rows]


def _messages() -> Callable[[bytes], None]:
    schemas, privacy = Schemas.load(), PrivacySettings()

    def bug(error: Exception) -> None:
        raise AssertionError("our own code stumbled over it") from error

    def take(data: bytes) -> None:
        entry = entry_within(message(body=data), schemas, privacy=privacy, most=1 << 20, on_bug=bug)
        for event in entry.events:
            event.encode()

    return take


def _polled(system: str) -> Callable[[bytes], None]:
    polled = POLLED[system]

    def take(data: bytes) -> None:
        try:
            rows, _problems = polled.rows(data, _ACCOUNT)
        except Refused:
            return
        for _key, content in rows:
            try:
                polled.over(content)
                polled.line(content, account=_ACCOUNT, detail=content)
            except Refused:
                continue

    return take


def main() -> None:
    """Fuzz the target that the first argument names."""
    target = sys.argv[1] if len(sys.argv) > 1 else "messages"
    if target not in _TARGETS:
        sys.exit(f"there is no target {target}; there are {', '.join(_TARGETS)}")
    take = _messages() if target == "messages" else _polled(target)
    bred = Path("var/fuzz") / target
    bred.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(_seeds(target)):
        (bred / f"seed-{number}").write_bytes(seed)
    arguments = [sys.argv[0], f"-artifact_prefix={bred}/", *sys.argv[2:], str(bred)]
    atheris.Setup(arguments, take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
