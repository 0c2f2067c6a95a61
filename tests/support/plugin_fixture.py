"""The third-party sink of `plugin_package`, built and installed as any stranger's would be."""

import subprocess
import sys
from pathlib import Path

import pytest

_PACKAGE = Path(__file__).parent.parent / "plugin_package"


def install(source: Path, target: Path) -> None:
    """Build a source tree or take a wheel, and install it into a directory: offline, nothing else.

    The directory works like a `site-packages` for whoever has it on PYTHONPATH, entry points
    included.
    """
    command = [sys.executable, "-m", "pip", "--isolated", "--quiet", "install"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *offline, "--target", target, source],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def installed_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds `backorder-sink-memo`; put it on PYTHONPATH to offer `memo`."""
    target = tmp_path_factory.mktemp("plugin")
    install(_PACKAGE, target)
    return target
