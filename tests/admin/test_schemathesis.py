"""The admin listener against its own document, as schemathesis understands it.

Every answer is one that the document tells of, what is no valid request is refused, what is one is
accepted, other methods are 405, a missing or a wrong token is noticed. Names and ids that exist are
put into the document as examples: found by chance they are not.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from consumer.admin import openapi_document
from extent import extent

# What stands in the bench's journal.
_EXAMPLES = {"sink": "warehouse", "seq": 3}

# Too large is a refusal too; schemathesis does not count it as one by itself.
_CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 413, 415]
"""
_ALL = "examples,coverage,fuzzing,stateful"
_TOKEN = "open-sesame"


def described(ids: list[str], *, guarded: bool) -> dict[str, Any]:
    document = openapi_document()
    examples = _EXAMPLES | {"id": ids[0]}
    for path in document["paths"].values():
        for operation in path.values():
            if not guarded:
                del operation["security"]
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    parameter["examples"] = {"known": {"value": examples[parameter["name"]]}}
    schemas = document["components"]["schemas"]
    schemas["ParkedOfSink"]["properties"]["sink"]["examples"] = ["warehouse"]
    schemas["ParkedOfSink"]["properties"]["seqs"]["examples"] = [[5]]
    schemas["Payloads"]["properties"]["ids"]["examples"] = [ids[1:2]]
    return document


@pytest.mark.timeout(extent(300, long=3600))
@pytest.mark.parametrize("token", ["", _TOKEN])
async def test_the_listener_is_what_its_document_says(
    bench: Any, tmp_path: Path, token: str
) -> None:
    opened = await bench(token=token)
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(described(opened.ids, guarded=bool(token))))
    (tmp_path / "schemathesis.toml").write_text(_CONFIGURATION)
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", document, "--url", opened.url),
        *("--checks", "all", "--max-examples", str(extent(3, long=400))),
        *("--phases", extent("examples,coverage", long=_ALL) if not token else _ALL),
        *("--generation-deterministic", "--no-color"),
        *("--header", f"Authorization: Bearer {token}") if token else (),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await done.communicate()
    assert done.returncode == 0, out.decode()
    assert opened.errors == []
