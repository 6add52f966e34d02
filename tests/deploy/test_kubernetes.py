"""The Kubernetes manifests: valid for every supported release, and right for this service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from starlette.routing import Route

from entrypoints.container import open_container
from entrypoints.http.app import create_app
from entrypoints.settings import Settings, read_settings
from tests.architecture.sources import ROOT
from tests.support.redis_kinds import certificates
from tests.support.redis_store import RING

FOLDER = ROOT / "deploy" / "kubernetes"
RELEASES = ("1.31", "1.34", "1.37")


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


KUSTOMIZATION = read("kustomization.yaml")
DEPLOYMENT = read("deployment.yaml")
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]


def settings_of(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if line)
    return {name: value for name, _, value in pairs}


ENVIRONMENT = settings_of((FOLDER / "settings.env").read_text("utf-8"))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", KUSTOMIZATION["resources"])
def test_every_manifest_is_valid(name: str, release: str) -> None:
    kubernetes_validate.validate(read(name), release, strict=True)


def test_every_file_belongs_to_the_kustomization() -> None:
    generated = [
        file
        for generator in KUSTOMIZATION["configMapGenerator"]
        for file in (*generator.get("envs", []), *generator.get("files", []))
    ]
    expected = {*KUSTOMIZATION["resources"], *generated, "kustomization.yaml"}

    assert {path.name for path in FOLDER.iterdir()} == expected


def test_all_parts_select_the_same_pods() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    [spread] = POD["topologySpreadConstraints"]
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        spread["labelSelector"]["matchLabels"],
        read("service.yaml")["spec"]["selector"],
        read("disruption-budget.yaml")["spec"]["selector"]["matchLabels"],
        read("network-policy.yaml")["spec"]["podSelector"]["matchLabels"],
    ]

    assert selectors == [labels] * 5


def test_names_that_parts_use_of_each_other_exist() -> None:
    generated = {generator["name"] for generator in KUSTOMIZATION["configMapGenerator"]}
    mounted = {volume["configMap"]["name"] for volume in POD["volumes"] if "configMap" in volume}
    used = {source["configMapRef"]["name"] for source in CONTAINER["envFrom"]}
    [rule] = read("ingress.yaml")["spec"]["rules"]
    [path] = rule["http"]["paths"]
    service = read("service.yaml")
    [image] = KUSTOMIZATION["images"]

    assert mounted | used == generated
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert service["spec"]["ports"][0]["targetPort"] == CONTAINER["ports"][0]["name"]
    assert image["name"] == CONTAINER["image"]


def test_the_settings_are_valid_with_the_files_that_the_pod_mounts(tmp_path: Path) -> None:
    secrets = {
        "keys": RING,
        "redis-url": "rediss://privity:password@redis.example.org:6379/0",
        "redis-ca.pem": certificates().ca_file.read_text(),
        "model-api-key": "the-key",
    }
    assistant = (FOLDER / "assistant.toml").read_text("utf-8")
    for name, text in {**secrets, "assistant.toml": assistant}.items():
        (tmp_path / name).write_text(text)
    mounts = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    environment = {
        name: str(tmp_path / Path(value).name) if str(Path(value).parent) in mounts else value
        for name, value in ENVIRONMENT.items()
    }
    paths = [value for name, value in ENVIRONMENT.items() if name.endswith("_FILE")]

    settings = read_settings(environment)

    assert mounts == {"/secrets", "/assistant"}
    assert {str(Path(path).parent) for path in paths} == mounts
    assert settings.is_https
    assert settings.proxies == 1


def test_the_assistant_is_the_example() -> None:
    assert (FOLDER / "assistant.toml").read_text() == (ROOT / "assistant.example.toml").read_text()


def probes() -> Iterator[str]:
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        yield CONTAINER[name]["httpGet"]["path"]


def test_every_probe_is_a_route() -> None:
    routes = create_app(Settings(), open_container).routes
    paths = {route.path for route in routes if isinstance(route, Route)}

    assert list(probes()) == ["/health/live", "/health/ready", "/health/live"]
    assert set(probes()) <= paths


def test_a_pod_has_time_to_start_and_to_end_its_replies() -> None:
    startup = CONTAINER["startupProbe"]
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = pause + Settings().shutdown_grace.total_seconds() + 15

    assert startup["periodSeconds"] * startup["failureThreshold"] > 30
    assert POD["terminationGracePeriodSeconds"] >= needed


def test_one_replica_stays_while_another_is_replaced() -> None:
    assert DEPLOYMENT["spec"]["replicas"] >= 2
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert read("disruption-budget.yaml")["spec"]["minAvailable"] == 1


def test_the_process_has_no_rights() -> None:
    assert POD["securityContext"]["runAsNonRoot"]
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
