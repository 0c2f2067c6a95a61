"""Compiles `consumer.normalisation.xml_compiled` when the program is built, where that can be done.

hatchling calls this for every wheel (`pyproject.toml`): Cython makes C of the module, and the
compiler that `CC` names, or else the one that Python was built with, an extension module of that. A
wheel holds it, and is then for this platform and this Python only; an editable installation has it
beside its source. Where it cannot be built the program is installed without it: the wheel runs
anywhere, and messages are read in Python.

`BACKORDER_COMPILED` in the environment decides about that: `optional` (the default), `required`, or
`never`.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.wheel import WheelBuilderConfig

_SWITCH = "BACKORDER_COMPILED"
_WISHES = ("optional", "required", "never")

_FOLDER = "consumer/normalisation"
_NAME = "xml_compiled"
_SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


class NotBuilt(Exception):
    """The module could not be built. The text is one line: why, and what to do about it."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(reason)
        self.output = output  # of the program that failed


class CompiledReader(BuildHookInterface[WheelBuilderConfig]):
    """What hatchling calls before and after it writes a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the module; `version` is `editable` or `standard`."""
        self._made = TemporaryDirectory()
        editable = version == "editable"
        if editable:
            self._remove_what_is_there()
        module = self._module(Path(self._made.name))
        if module is None:
            return
        if editable:
            shutil.copy(module, Path(self.root, _FOLDER))
        else:
            build_data["force_include"][str(module)] = f"{_FOLDER}/{module.name}"
            build_data["pure_python"] = False
            build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made; the wheel has been written."""
        del version, build_data, artifact_path
        self._made.cleanup()

    def _remove_what_is_there(self) -> None:
        """A module of an older source, or for another lxml, must not stay where this one fails."""
        for stale in Path(self.root, _FOLDER).glob(f"{_NAME}*{Path(_SUFFIX).suffix}"):
            stale.unlink()

    def _module(self, folder: Path) -> Path | None:
        """The module, built in the folder; None where it is not wanted, or cannot be built."""
        wish = os.environ.get(_SWITCH) or _WISHES[0]
        if wish not in _WISHES:
            self.app.abort(f"{_SWITCH} is {wish!r}; it may be {', '.join(_WISHES)}")
        if wish == "never":
            return None
        try:
            module, remarks = build(Path(self.root), folder)
        except NotBuilt as error:
            if wish == "required":
                self.app.abort(f"{error.output}{_NAME} is required, but {error}")
            hint = f" ({_SWITCH}=required shows its output)" if error.output else ""
            self.app.display_warning(f"messages will be read in Python: {error}{hint}")
            return None
        if remarks:
            self.app.display_warning(remarks)
        return module


def build(root: Path, folder: Path) -> tuple[Path, str]:
    """The extension module, built in the folder, and what the compilers remarked.

    Raises NotBuilt.
    """
    compiler = _compiler()
    headers = [sysconfig.get_path(name) for name in ("include", "platinclude")]
    if not any(Path(place, "Python.h").is_file() for place in headers):
        package = f"python{sysconfig.get_python_version()}-dev"
        raise NotBuilt(f"there is no Python.h; on Debian: sudo apt-get install {package}")
    try:
        from lxml import get_include  # type: ignore[attr-defined]  # its stubs lack it
    except ImportError:
        raise NotBuilt("lxml, whose headers it needs, is not installed in this place") from None
    written, module = folder / f"{_NAME}.c", folder / f"{_NAME}{_SUFFIX}"
    name = f"{_FOLDER.replace('/', '.')}.{_NAME}"
    translate = [sys.executable, "-P", "-m", "cython", "-3", "-Werror", "-Wextra", "--module-name"]
    remarks = _run([*translate, name, f"{_FOLDER}/{_NAME}.pyx"], written, root)
    includes = [f"-I{place}" for place in headers]
    # Warnings about headers of others are none of ours, so these are the system's.
    includes += [word for place in get_include() for word in ("-isystem", place)]
    remarks += _run([*compiler, *_flags(), *includes, str(written)], module, root)
    return module, remarks


def _compiler() -> Sequence[str]:
    """The command of the C compiler; raises NotBuilt where there is none."""
    asked = os.environ.get("CC", "").strip()
    for command in (asked,) if asked else (sysconfig.get_config_var("CC") or "cc", "cc"):
        words = shlex.split(command)
        if shutil.which(words[0]):
            return words
    remedy = f"CC names {asked}" if asked else "on Debian: sudo apt-get install gcc libc6-dev"
    raise NotBuilt(f"there is no C compiler; {remedy}")


def _flags() -> Sequence[str]:
    """Those that Python was built with and wants its extension modules to have, then ours, and what
    the environment asks for.
    """
    compile_, share, link = (
        shlex.split(sysconfig.get_config_var(name) or "")
        for name in ("CFLAGS", "CCSHARED", "LDSHARED")
    )
    made_with = shlex.split(sysconfig.get_config_var("CC") or "")
    link = link[len(made_with) :] if link[: len(made_with)] == made_with else link[1:]
    asked = [word for name in ("CFLAGS", "LDFLAGS") for word in shlex.split(os.getenv(name, ""))]
    return [*compile_, *share, *link, "-Wall", "-g0", *asked]


def _run(command: Sequence[str], made: Path, folder: Path) -> str:
    """What the command printed when it had made the file; raises NotBuilt where it has not."""
    done = subprocess.run(  # noqa: S603 - whoever installs the program chooses the compiler
        [*command, "-o", str(made)],
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0 or not made.is_file():
        what = "Cython" if command[0] == sys.executable else command[0]
        raise NotBuilt(f"{what} failed with status {done.returncode}", done.stdout)
    return done.stdout
