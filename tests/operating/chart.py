"""`python -m tests.operating.chart`: what Helm makes of values that a stranger might give.

Each set is rendered and held against Kubernetes' schemas, as those of `values/` are in
`test_deploy.py`; what is asked of it beside is in its check. `.ci/operating` runs it where Helm is.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import kubernetes_validate
import yaml

from tests.operating.rules import ROOT

CHART = ROOT / "deploy" / "helm" / "ringline"
VERSIONS = ("1.27", "1.37")
Rendered = Sequence[dict[str, Any]]


def of(made: Rendered, kind: str, end: str = "") -> dict[str, Any]:
    """The one of this kind whose name ends so."""
    (found,) = [
        one for one in made if one["kind"] == kind and one["metadata"]["name"].endswith(end)
    ]
    return found


def pods(made: Rendered) -> list[dict[str, Any]]:
    """The specification of every pod."""
    return [one["spec"]["template"]["spec"] for one in made if one["kind"] in {"Deployment", "Job"}]


def environment(pod: dict[str, Any]) -> dict[str, str]:
    """What is set in plain; nothing twice, as a server-side apply refuses that."""
    told = pod["containers"][0]["env"]
    found = {one["name"]: one["value"] for one in told}
    assert len(found) == len(told), told
    return found


def numbers(made: Rendered) -> None:
    for pod in pods(made):
        said = environment(pod)
        assert said["RINGLINE_CONNECTIONS"] == "2000000"
        assert said["RINGLINE_KEEP_ALIVE"] == "62.5"
        assert said["RINGLINE_ACCESS_LOG"] == "false"
        assert said["RINGLINE_CORS_ORIGINS"] == "https://a.example,https://b.example"
        assert said["OTEL_RESOURCE_ATTRIBUTES"] == 'a="b": #c\n{{ d }}'
        assert "RINGLINE_FCM_URL" not in said
        assert pod["containers"][0]["image"] == "registry.example.com:5000/ringline:20261127"
    api = of(made, "Deployment", "-api")["spec"]["template"]["spec"]
    assert environment(api)["RINGLINE_STOP_DELAY"] == "30"
    assert api["terminationGracePeriodSeconds"] == 62
    worker = of(made, "Deployment", "-worker")["spec"]["template"]["spec"]
    assert (
        environment(worker)["RINGLINE_WORKER_METRICS"] == "0.0.0.0:9100"
    )  # the port of its probes
    assert of(made, "Job")["spec"]["activeDeadlineSeconds"] == 2_000_000


def places(made: Rendered) -> None:
    for pod in pods(made):
        assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
        assert pod["tolerations"][0]["key"] == "only"
        (container,) = pod["containers"]
        assert {one["name"] for one in pod["volumes"]} == {"tmp", "authorities"}
        assert {one["mountPath"] for one in container["volumeMounts"]} == {"/tmp", "/etc/trust"}
        assert container["envFrom"] == [{"secretRef": {"name": "123"}}]
        assert container["image"] == "registry.example.com/ringline@sha256:" + "a" * 64


def budgets(made: Rendered) -> None:
    assert of(made, "PodDisruptionBudget", "-worker")["spec"]["maxUnavailable"] == "50%"
    assert len([one for one in made if one["kind"] == "PodDisruptionBudget"]) == 1
    assert (
        of(made, "Deployment", "-worker")["spec"]["template"]["spec"]["containers"][0]["args"][-1]
        == "pushes"
    )
    assert of(made, "Deployment", "-webhooks")["spec"]["replicas"] == 1


def doors(made: Rendered) -> None:
    ingress = of(made, "Ingress")["spec"]
    assert ingress["rules"][0]["host"] == "*.example.com"
    assert ingress["tls"] == [{"hosts": ["*.example.com"], "secretName": "true"}]
    for one in made:
        if one["kind"] == "NetworkPolicy":
            ports = {port["port"] for rule in one["spec"]["egress"] for port in rule["ports"]}
            assert {443, 6379, 26379, 4318} <= ports
    asked = {
        one["metadata"]["name"]: one["spec"]["podMetricsEndpoints"][0]
        for one in made
        if one["kind"] == "PodMonitor"
    }
    token = {"credentials": {"name": "ringline", "key": "RINGLINE_METRICS_TOKEN"}}
    assert asked["ring-api"]["authorization"] == token
    assert "authorization" not in asked["ring-worker"]


def fit_for_a_service(made: Rendered) -> None:
    """A service's name has no dot, begins with a letter, and is text; others refer to it."""
    name = of(made, "Service")["metadata"]["name"]
    assert isinstance(name, str)
    assert name[0].isalpha()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert (
        of(made, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
        == name
    )
    assert of(made, "Deployment", "-api")["spec"]["template"]["spec"]["serviceAccountName"] == name
    assert max(len(one["metadata"]["name"]) for one in made) <= 63


def nothing_of_the_web(made: Rendered) -> None:
    assert {one["kind"] for one in made} == {"Deployment", "Service", "ServiceAccount"}


@dataclass(frozen=True)
class Odd:
    """One set of values, the release's name, and what is asked of what is rendered."""

    values: dict[str, Any]
    check: Callable[[Rendered], None]
    name: str = "ring"
    more: Sequence[str] = field(default=())


INGRESS = {"ingress": {"enabled": True}}
SETS = (
    Odd({
        "image": {"repository": "registry.example.com:5000/ringline", "tag": 20261127},
        "migration": {"activeDeadlineSeconds": 2_000_000},
        "settings": {
            "RINGLINE_CONNECTIONS": 2_000_000, "RINGLINE_KEEP_ALIVE": 62.5, "RINGLINE_ACCESS_LOG": False,
            "RINGLINE_CORS_ORIGINS": ["https://a.example", "https://b.example"],
            "RINGLINE_STOP_DELAY": 30, "RINGLINE_WORKER_METRICS": "0.0.0.0:1", "RINGLINE_FCM_URL": None,
            "OTEL_RESOURCE_ATTRIBUTES": 'a="b": #c\n{{ d }}',
        },
    }, numbers),
    Odd({
        "secretName": "123", "image": {"digest": "sha256:" + "a" * 64},
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "only", "operator": "Exists", "effect": "NoSchedule"}],
        "volumes": [{"name": "authorities", "secret": {"secretName": "authorities"}}],
        "volumeMounts": [{"name": "authorities", "mountPath": "/etc/trust", "readOnly": True}],
    }, places),
    Odd({
        "api": {"replicas": 1}, "worker": {"disruptionBudget": {"maxUnavailable": "50%"}},
        "webhooks": {"replicas": 1},
    }, budgets),
    Odd({
        "ingress": {"enabled": True, "host": "*.example.com", "tlsSecretName": "true", "annotations": {"a.b/c": "on"}},
        "networkPolicy": {"morePorts": [26379, 4318], "metricsFrom": [{"podSelector": {}}]},
        "serviceMonitor": {"enabled": True, "withToken": True, "labels": {"release": "1"}},
        "spreadOverZones": True,
    }, doors),
    Odd(INGRESS, fit_for_a_service, "1ring.in-a.zone"),
    Odd(INGRESS, fit_for_a_service, "true"),
    Odd(INGRESS | {"webhooks": {"replicas": 2}}, fit_for_a_service, "9" * 53),
    Odd(INGRESS, fit_for_a_service, "r" * 53),
    Odd({
        "api": {"disruptionBudget": None, "resources": None}, "worker": {"disruptionBudget": None, "resources": {}},
        "migration": {"enabled": False}, "networkPolicy": {"enabled": False}, "settings": {},
        "nodeSelector": None, "tolerations": None,
    }, nothing_of_the_web, more=("--set-string", "webhooks.replicas=0")),
)  # fmt: skip
REFUSED = (
    ("--set-string", "settings.RINGLINE_SECRET_KEY=x"),
    ("--set-string", "settings.RINGLINE_DATABASE_URL=postgresql://a:b@c/d"),
    ("--set", "settings.RINGLINE_CORS_ORIGINS.a=b"),
)


def helm(
    name: str, more: Sequence[str], values: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    """`helm template`, with values by standard input."""
    command = ["helm", "template", name, CHART, "--kube-version", "1.30.0", "-f", "-", *more]
    return subprocess.run(
        command, input=yaml.safe_dump(values), capture_output=True, text=True, check=False
    )


def main() -> int:
    for one in SETS:
        done = helm(one.name, one.more, one.values)
        assert done.returncode == 0, done.stderr
        made = [part for part in yaml.safe_load_all(done.stdout) if part]
        for part in made:
            if part["kind"] != "PodMonitor":
                for version in VERSIONS:
                    kubernetes_validate.validate(part, version, strict=True)
        one.check(made)
    for more in REFUSED:
        done = helm("ring", more, {})
        assert done.returncode != 0, more
        assert "setting" in done.stderr, done.stderr
    print(f"{len(SETS)} odd sets of values render as they are meant, {len(REFUSED)} are refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
