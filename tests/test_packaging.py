"""What is handed out: the wheel, the lock files and the documents of the project itself.

The wheel is really built and installed outside the checkout; its dependencies are those of the
environment that runs the tests, in which the project itself is hidden.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from plugin_fixture import install

_CHECKOUT = Path(__file__).parents[1]
_SITE = distribution("click").locate_file("")
_LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
_SCHEMAS = {
    "Order-Backorder-Event-1.0.xsd",
    "Checkout-Datatypes-1.0.xsd",
    "Order-Common-Event-1.0.xsd",
    "Order-Datatypes-Common-1.0.xsd",
    "Payment-Datatypes-1.0.xsd",
    "Payment-Datatypes-CurrencyCode-1.0.xsd",
}


class Built(NamedTuple):
    """What came of a build."""

    status: int
    said: str
    wheels: Sequence[Path]


def build(folder: Path, **environment: str) -> Built:
    """A wheel of the checkout, in the folder."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=_CHECKOUT,
        env={**os.environ, **environment},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Built(done.returncode, done.stdout, list(folder.glob("*.whl")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The build of a wheel from the checkout, with everything in it."""
    return build(tmp_path_factory.mktemp("dist"), BACKORDER_COMPILED="required")


@pytest.fixture(scope="module")
def wheel(built: Built) -> Path:
    """The wheel, built from the checkout."""
    assert built.status == 0, built.said
    [path] = built.wheels
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the wheel is installed in, all by itself."""
    target = tmp_path_factory.mktemp("installed")
    install(wheel, target)
    return target


def run_python(installed: Path, code: str, *arguments: str) -> str:
    """What Python prints with only the wheel and the dependencies to import from.

    `-S` leaves out site-packages and with it the editable install of the checkout, `-P` the
    current directory.
    """
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{_SITE}"}
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code, *arguments],
        cwd=installed.parent,
        env=environment,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    wanted = {f"consumer/{path.relative_to(_CHECKOUT / 'consumer')}" for path in _sources()}
    assert wanted <= names
    assert {f"consumer/schemas/{name}" for name in _SCHEMAS} <= names
    assert "consumer/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {
        "consumer",
        "backorder_consumer",
    }


def _sources() -> list[Path]:
    package = _CHECKOUT / "consumer"
    return [path for kind in ("*.py", "*.sql") for path in package.rglob(kind)]


def test_the_wheel_names_everything_it_needs(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    lines = metadata.splitlines()
    needs = [line for line in lines if line.startswith("Requires-Dist: ")]
    needed = {Requirement(line.removeprefix("Requires-Dist: ")).name for line in needs}
    imported = {"aio-pika", "aiohttp", "click", "lxml", "msgspec", "structlog", "xmlschema"}
    assert imported <= needed
    assert "License-Expression: Apache-2.0" in lines


def test_the_installed_program_runs_far_from_the_checkout(installed: Path) -> None:
    code = (
        "import sys; from consumer.__main__ import main;"
        "sys.argv = ['backorder-consumer', *sys.argv[1:]]; sys.exit(main())"
    )
    assert distribution("backorder-consumer").version in run_python(installed, code, "--version")


def test_the_installed_program_brings_its_schemas_and_its_sql(installed: Path) -> None:
    code = """
import json
from importlib.resources import files
import consumer
from consumer.validation import Schemas
Schemas.load(None, strict=True)
root = files(consumer)
print(json.dumps({
    "file": consumer.__file__,
    "schemas": sorted(f.name for f in root.joinpath("schemas").iterdir()),
    "sql": sorted(f.name for f in root.joinpath("journal").iterdir() if f.name.endswith(".sql")),
}))
"""
    found = json.loads(run_python(installed, code))
    assert Path(found["file"]).is_relative_to(installed)
    assert set(found["schemas"]) >= _SCHEMAS
    assert found["sql"]


def test_a_plugin_in_another_directory_is_found(installed: Path, installed_plugin: Path) -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from consumer import plugins
print(plugins.sinks()["memo"].__module__)
"""
    assert run_python(installed, code, str(installed_plugin)).strip() == "backorder_sink_memo"


# --- what is compiled ------------------------------------------------------------------------

_COMPILED = f"consumer/normalisation/xml_compiled{sysconfig.get_config_var('EXT_SUFFIX')}"
_READER = "from consumer.normalisation import xml; print(xml.read.__module__)"


def modules(wheel: Path) -> set[str]:
    """The extension modules in a wheel, and what such modules are made of."""
    names = ZipFile(wheel).namelist()
    return {name for name in names if name.endswith((".so", ".pyd", ".pyx", ".c"))}


def test_a_wheel_with_the_compiled_reader_is_for_one_python_on_one_platform(
    built: Built, wheel: Path, installed: Path
) -> None:
    assert modules(wheel) == {_COMPILED}
    [tag] = parse_wheel_filename(wheel.name)[3]
    assert tag in set(sys_tags())
    assert tag.interpreter == f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert run_python(installed, _READER).strip() == "consumer.normalisation.xml_compiled"
    assert "warning" not in built.said.lower()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"CC": "/nonexistent/cc"}, "there is no C compiler; CC names /nonexistent/cc"),
        ({"CC": "false"}, "false failed with status 1"),
        ({"BACKORDER_COMPILED": "never"}, ""),
    ],
    ids=["no compiler", "broken compiler", "never"],
)
def test_a_wheel_without_the_compiled_reader_runs_anywhere(
    environment: Mapping[str, str], said: str, tmp_path: Path
) -> None:
    built = build(tmp_path, **{"BACKORDER_COMPILED": "optional", **environment})
    assert built.status == 0, built.said
    [path] = built.wheels
    assert path.name.endswith("-py3-none-any.whl")
    assert modules(path) == set()
    told = [line for line in built.said.splitlines() if "messages will be read in Python" in line]
    assert len(told) == bool(said)
    assert all(said in line for line in told)
    install(path, tmp_path / "installed")
    reader = run_python(tmp_path / "installed", _READER).strip()
    assert reader == "consumer.normalisation.xml_python"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"BACKORDER_COMPILED": "required", "CC": "/nonexistent/cc"}, "there is no C compiler"),
        ({"BACKORDER_COMPILED": "required", "CC": "true"}, "but true failed"),
        ({"BACKORDER_COMPILED": "perhaps"}, "it may be optional, required, never"),
    ],
    ids=["no compiler", "broken compiler", "unknown wish"],
)
def test_a_compiled_reader_that_is_required_and_cannot_be_had_is_an_error(
    environment: Mapping[str, str], said: str, tmp_path: Path
) -> None:
    built = build(tmp_path, **environment)
    assert built.status != 0
    assert said in built.said
    assert "Traceback" not in built.said
    assert not built.wheels


# --- lock files ------------------------------------------------------------------------------


def locked(name: str) -> dict[str, str]:
    """The requirements of a lock file, name to the version and all that follows it."""
    parts = re.split(r"^([A-Za-z0-9._-]+)==", (_CHECKOUT / name).read_text(), flags=re.MULTILINE)
    return dict(zip(map(canonicalize_name, parts[1::2]), parts[2::2], strict=True))


@pytest.mark.parametrize("name", _LOCKS)
def test_a_lock_pins_versions_and_hashes_and_names_no_place(name: str) -> None:
    text = (_CHECKOUT / name).read_text()
    packages = locked(name)
    assert packages
    assert all("--hash=sha256:" in rest for rest in packages.values())
    options = re.findall(r"(?<!\S)--?[a-z-]+", text)
    assert set(options) <= {"--hash", "-c"}  # -c stands in comments: "via -c requirements-dev.lock"
    assert not re.search(r"://|file:|(?<!\S)/| @ ", text)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-build.lock"])
def test_tests_run_with_the_versions_that_are_handed_out(name: str) -> None:
    def version(rest: str) -> str:
        return rest.split(maxsplit=1)[0]

    development = {package: version(rest) for package, rest in locked(_LOCKS[2]).items()}
    for package, rest in locked(name).items():
        assert development[package] == version(rest), package


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    plain = [line for line in groups["dev"] if isinstance(line, str)]
    asked = {
        "requirements.lock": project["project"]["dependencies"],
        "requirements-build.lock": groups["build"] + project["build-system"]["requires"],
        "requirements-dev.lock": plain + groups["build"] + project["project"]["dependencies"],
    }
    for name, requirements in asked.items():
        packages = locked(name)
        for requirement in map(Requirement, requirements):
            pin = packages[canonicalize_name(requirement.name)].split()[0]
            assert requirement.specifier.contains(pin), f"{name}: {requirement}; run `make lock`"
