import json
import os
import subprocess
import sys
from pathlib import Path

from program import Call, Edit

SCHEMAS = Path(__file__).parents[2] / "schemas"
TEST = (
    '<test xmlns="http://api.gsicommerce.com/schema/checkout/1.0"'
    ' timestamp="2016-07-13T13:47:54Z">hello</test>'
)
DRIFT = ("<OrderItemKind>", "<GiftWrap>yes</GiftWrap><OrderItemKind>")
# The line of an element is the one that its start tag ends on.
BROKEN = (('currency="USD"', 'currency="ABC"'), ("<City>King Of Prussia</City>", ""))


def test_every_error_is_a_line_with_file_line_path_and_reason(
    program: Call, edited: Edit, sample: Path
) -> None:
    broken = edited(*BROKEN)
    done = program("validate", sample, broken)
    assert done.status == 1
    first, *errors = done.out.splitlines()
    assert first == f"{sample}: valid"
    assert [error.split(": ")[0] for error in errors] == [f"{broken}:8", f"{broken}:34"]
    assert "/OrderBackorder" in errors[0]
    assert "/Address" in errors[1]
    assert "City" in errors[1]
    assert done.err == ""


def test_standard_input_is_a_file(program: Call, sample: Path) -> None:
    assert program("validate", "-", stdin=sample.read_bytes()) == (0, "-: valid\n", "")
    truncated = program("validate", "-", stdin=sample.read_bytes()[:700])
    assert truncated.status == 1
    assert truncated.out.startswith("-:")


def test_json_tells_the_same_to_programs(call: Call, edited: Edit, sample: Path) -> None:
    drifted, broken = edited(DRIFT, name="drifted.xml"), edited(*BROKEN)
    done = call("validate", "--json", sample, drifted, broken)
    assert done.status == 1
    good, drift, bad = [json.loads(line) for line in done.out.splitlines()]
    assert good == {"file": str(sample), "valid": True, "errors": [], "drift": []}
    assert drift == {
        "file": str(drifted),
        "valid": True,
        "errors": [],
        "drift": ["OrderItem/GiftWrap"],
    }
    assert bad["file"] == str(broken)
    assert bad["valid"] is False
    assert [sorted(error) for error in bad["errors"]] == [["column", "line", "path", "reason"]] * 2
    assert [error["line"] for error in bad["errors"]] == [8, 34]


def test_drift_is_named_unless_it_is_refused(call: Call, edited: Edit) -> None:
    drifted = edited(DRIFT)
    tolerant = f"{drifted}: valid (not in the schemas: OrderItem/GiftWrap)\n"
    assert call("validate", drifted) == (0, tolerant, "")
    strict = call("validate", "--strict", drifted)
    assert strict.status == 1
    assert "GiftWrap" in strict.out


def test_a_connectivity_test_is_valid_and_another_document_is_not(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "test.xml").write_text(TEST)
    (tmp_path / "other.xml").write_text("<OrderShipped/>")
    assert call("validate", tmp_path / "test.xml").status == 0
    assert call("validate", tmp_path / "other.xml") == (
        1,
        f"{tmp_path}/other.xml:1: root element OrderShipped is not a Radial back-order message\n",
        "",
    )


def test_an_unreadable_file_outweighs_an_invalid_one(
    call: Call, edited: Edit, sample: Path, tmp_path: Path
) -> None:
    done = call("validate", tmp_path / "absent.xml", edited(*BROKEN), tmp_path, sample)
    assert done.status == 2
    assert done.out.endswith(f"{sample}: valid\n")
    assert done.err.splitlines() == [
        f"error: {tmp_path}/absent.xml: No such file or directory",
        f"error: {tmp_path}: Is a directory",
    ]


def test_json_has_an_object_for_an_unreadable_file_too(
    call: Call, sample: Path, tmp_path: Path
) -> None:
    done = call("validate", "--json", tmp_path / "absent.xml", sample)
    assert done.status == 2
    absent, good = [json.loads(line) for line in done.out.splitlines()]
    assert (absent["file"], absent["valid"]) == (f"{tmp_path}/absent.xml", False)
    assert absent["errors"][0]["reason"] == "the file cannot be read"
    assert set(absent) == set(good)


def test_a_closed_standard_input_is_a_file_that_cannot_be_read() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m consumer validate - <&-', sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: -: Bad file descriptor\n"


def test_a_file_whose_name_is_no_text(call: Call, sample: Path, tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"\xff.xml")
    name.write_bytes(sample.read_bytes())
    shown = f"{tmp_path}/\N{REPLACEMENT CHARACTER}.xml"
    assert call("validate", name) == (0, f"{shown}: valid\n", "")
    done = call("validate", "--json", name)
    assert (done.status, json.loads(done.out)["file"]) == (0, shown)
    name.unlink()
    done = call("validate", "--json", name)
    assert (done.status, json.loads(done.out)["file"]) == (2, shown)
    assert done.err == f"error: {shown}: No such file or directory\n"


def test_another_schema_set_is_used_where_it_can_be(
    call: Call, sample: Path, tmp_path: Path
) -> None:
    assert call("validate", "--schemas", SCHEMAS, sample).status == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    done = call("validate", "--schemas", empty, sample)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert str(empty) in done.err


def test_a_file_is_needed(call: Call) -> None:
    assert call("validate").status == 2
