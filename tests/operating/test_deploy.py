"""What operators install says what is so; their own tools look at it in `.ci/operating`."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.infra.settings import Settings
from tests.operating.rules import ROOT, check_command

DEPLOY = ROOT / "deploy"
RENDERED = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
SECRET = {
    "RINGLINE_SECRET_KEY",
    "RINGLINE_DATABASE_URL",
    "RINGLINE_REDIS_URL",
    "RINGLINE_METRICS_TOKEN",
}
OLDEST, NEWEST = "1.27", "1.37"


def resources(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def pods(path: Path) -> Iterator[dict[str, Any]]:
    for one in resources(path):
        if one["kind"] in {"Deployment", "Job"}:
            yield one["spec"]["template"]["spec"]


@pytest.mark.parametrize("path", RENDERED, ids=lambda path: path.stem)
def test_what_is_rendered_is_what_kubernetes_takes(path: Path) -> None:
    kinds = [one["kind"] for one in resources(path)]
    assert kinds.count("Deployment") == 2
    for one in resources(path):
        if one["kind"] != "PodMonitor":  # of an operator's, whose schema is elsewhere
            for version in (OLDEST, NEWEST):
                kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("path", RENDERED, ids=lambda path: path.stem)
def test_a_pod_may_do_little_and_holds_no_secret_in_plain(path: Path) -> None:
    for pod in pods(path):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            may = container["securityContext"]
            assert may["readOnlyRootFilesystem"] is True
            assert may["allowPrivilegeEscalation"] is False
            assert may["capabilities"] == {"drop": ["ALL"]}
            plain = {one["name"] for one in container["env"]}
            assert not plain & SECRET
            assert container["envFrom"] == [{"secretRef": {"name": "ringline"}}]
            assert plain <= settings()
            assert container["args"][0] == "ringline"
            check_command(container["args"][1:])


def settings() -> set[str]:
    return {f"RINGLINE_{name.upper()}" for name in Settings.model_fields}


def test_compose_has_a_health_check_for_each_part_and_knows_our_commands() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert {name for name, one in services.items() if "healthcheck" not in one} == {"migrate"}
    for one in services.values():
        if "build" in one:
            assert set(one["environment"]) <= settings()
            check_command(one["command"][1:])


def test_compose_is_reached_by_the_proxy_of_its_machine_alone_and_believes_it() -> None:
    api = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["api"]
    assert all(port.startswith("127.0.0.1:") for port in api["ports"])
    told = api["environment"]["RINGLINE_TRUSTED_PROXIES"].partition(":-")[2].rstrip("}")
    trusted = Settings(environment="development", trusted_proxies=told).trusted_proxies
    assert any(ip_address("172.18.0.1") in network for network in trusted)


def test_units_start_what_there_is_and_may_do_little() -> None:
    for path in (DEPLOY / "systemd").glob("*.service"):
        text = path.read_text()
        assert "ProtectSystem=strict" in text
        assert "NoNewPrivileges=yes" in text
        (begins,) = re.findall(
            r"^ExecStart=.*?/opt/ringline/bin/ringline ([^\"'\n]+)", text, re.MULTILINE
        )
        check_command(shlex.split(begins))


def test_the_image_is_made_of_locked_requirements_and_holds_no_servers() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert "--require-hashes -r requirements/run.txt" in text
    assert not re.search(r"^COPY .*(devkit|demo)", text, re.MULTILINE)
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
