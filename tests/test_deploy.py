"""The files in `deploy` and the Dockerfile say nothing that the program does not know."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from consumer import config, plugins
from consumer.settings import Settings
from consumer.values import is_loopback, split_listen

_CHECKOUT = Path(__file__).parents[1]
_KUBERNETES = (_CHECKOUT / "deploy" / "kubernetes.yaml").read_text()
_DOCKERFILE = (_CHECKOUT / "Dockerfile").read_text()


def kubernetes_settings() -> Settings:
    """The configuration in the ConfigMap, with the secrets that its comment tells to create."""
    found = re.search(r"  consumer\.toml: \|\n((?: {4}.*\n|\n)+)", _KUBERNETES)
    assert found
    secrets = dict.fromkeys(re.findall(r"--from-literal=([A-Z_]+)=", _KUBERNETES), "made-up")
    return config.loads(
        dedent(found[1]),
        file="kubernetes.yaml",
        environ=secrets,
        source_types=plugins.option_types(plugins.sources()),
        sink_types=plugins.option_types(plugins.sinks()),
    )


def test_the_configuration_for_kubernetes_can_be_used_and_probed() -> None:
    settings = kubernetes_settings()
    ports = [int(port) for port in re.findall(r"containerPort: (\d+)", _KUBERNETES)]
    addresses = [split_listen(s.listen) for s in (settings.webhooks, settings.admin)]
    assert [port for _, port in addresses] == ports
    assert not any(is_loopback(host) for host, _ in addresses)


def test_orchestrators_wait_longer_than_a_stop_may_take() -> None:
    patience = re.search(r"terminationGracePeriodSeconds: (\d+)", _KUBERNETES)
    assert patience
    assert int(patience[1]) > kubernetes_settings().stop.grace
    service = (_CHECKOUT / "deploy" / "backorder-consumer.service").read_text()
    compose = (_CHECKOUT / "deploy" / "compose.yaml").read_text()
    for text, pattern in (
        (service, r"TimeoutStopSec=(\d+)s"),
        (compose, r"stop_grace_period: (\d+)s"),
    ):
        patience = re.search(pattern, text)
        assert patience
        assert int(patience[1]) > Settings().stop.grace


def test_the_health_check_asks_where_the_admin_listener_is_by_default() -> None:
    assert f"BACKORDER_HEALTH_URL=http://{Settings().admin.listen}/healthz" in _DOCKERFILE


def test_what_the_image_is_built_from_reaches_the_build() -> None:
    let_through = re.findall(r"^!(.+)$", (_CHECKOUT / ".dockerignore").read_text(), re.MULTILINE)
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", _DOCKERFILE, re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert sorted(names) == sorted(let_through)
    assert all((_CHECKOUT / name).exists() for name in names)


# --- prepare.sh ------------------------------------------------------------------------------


def prepare_compiler(necessity: str, **environment: str) -> tuple[int, str]:
    """How `prepare.sh compiler` ends, and what it says."""
    done = subprocess.run(
        ["/bin/sh", _CHECKOUT / "deploy" / "prepare.sh", "compiler", necessity, sys.executable],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH on which there is neither a compiler nor anything to install one with."""
    program = shutil.which("id")
    assert program
    (tmp_path / "id").symlink_to(program)
    return str(tmp_path)


def test_without_a_compiler_a_line_says_what_to_install(bare_path: str) -> None:
    status, said = prepare_compiler("optional", PATH=bare_path, CC="")
    assert status == 0
    assert said.count("\n") == 1
    assert "sudo apt-get install gcc libc6-dev" in said
    status, same = prepare_compiler("required", PATH=bare_path, CC="")
    assert status == 1
    assert "sudo apt-get install gcc libc6-dev" in same


def test_a_compiler_that_was_chosen_is_not_replaced() -> None:
    status, said = prepare_compiler("required", CC="/nonexistent/cc")
    assert status == 1
    assert said.endswith("CC is '/nonexistent/cc': unset it, or let it name one that does\n")


def test_a_compiler_that_is_there_needs_no_words() -> None:
    assert prepare_compiler("required") == (0, "")
