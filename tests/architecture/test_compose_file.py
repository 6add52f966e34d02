"""docker-compose.yml passes every setting, and each of its services has limits."""

import re
from typing import Any, Final

import pytest
import yaml

from entrypoints.settings import setting_infos
from tests.architecture.sources import ROOT

FILE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = FILE["services"]
PASSED: Final[dict[str, str | None]] = SERVICES["privity"]["environment"]
NOT_PASSED: Final = {
    "REDIS_URL": "Compose has a Redis of its own, whose URL is in a file.",
    "REDIS_ENABLED": "Compose always stores conversations in its Redis.",
    "REDIS_CLIENT_CERT": "Compose's Redis asks for no client certificate.",
    "REDIS_CLIENT_KEY": "Compose's Redis asks for no client certificate.",
    "REDIS_PLAINTEXT": "Compose's Redis uses TLS.",
    "PRIVITY_KEYS": "A secret, which comes from a file.",
    "MODEL_API_KEY": "A secret, which comes from a file.",
    "PRIVITY_HOOK_SECRET": "A secret, which comes from a file.",
}
INSIDE: Final = "/secrets/"


def given_files() -> set[str]:
    """The settings whose value is the path of a file on the host."""
    volumes = [item for item in SERVICES["prepare"]["volumes"] if isinstance(item, dict)]
    return {re.sub(r"\W", "", volume["source"].partition(":-")[0]) for volume in volumes}


def test_every_setting_is_passed_or_provided_or_not_needed() -> None:
    names = {info.name for info in setting_infos()}

    assert names - set(PASSED) == set(NOT_PASSED)
    assert set(PASSED) - names == {
        *("REDIS_URL_FILE", "PRIVITY_KEYS_FILE", "MODEL_API_KEY_FILE"),
        "PRIVITY_HOOK_SECRET_FILE",
        *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
    }


def test_a_setting_is_passed_only_if_it_is_set() -> None:
    provided = {name: value for name, value in PASSED.items() if value is not None}

    assert all(value.startswith(INSIDE) for name, value in provided.items() if "FILE" in name)
    assert {name for name in provided if "FILE" not in name} == {"PRIVITY_HOSTS", "NO_PROXY"}


def test_a_file_of_the_operator_is_provided_for_each_setting_that_names_one() -> None:
    files = {name for name in PASSED if name.endswith("_FILE")}

    assert files - {"REDIS_URL_FILE", "REDIS_CA_FILE"} == given_files()


def test_a_missing_file_makes_no_folder() -> None:
    """With ``bind``, version 2 creates no folder; version 1 knows no option of that name."""
    volumes = [item for item in SERVICES["prepare"]["volumes"] if isinstance(item, dict)]

    assert all(volume["bind"] == {"propagation": "rprivate"} for volume in volumes)


@pytest.mark.parametrize("service", ["prepare", "privity"])
def test_an_image_that_is_built_is_not_pulled(service: str) -> None:
    assert SERVICES[service]["pull_policy"] == "never"


@pytest.mark.parametrize("name", ["prepare", "redis", "privity", "dev-redis"])
def test_every_service_has_limits(name: str) -> None:
    service = SERVICES[name]

    assert {"mem_limit", "pids_limit"} <= set(service)
    assert service["memswap_limit"] == service["mem_limit"]
    assert service["ulimits"]["core"] == 0
    assert service["ulimits"]["nofile"] >= 1024
    assert set(SERVICES) == {"prepare", "redis", "privity", "dev-redis"}


def test_every_port_is_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_file_needs_no_version_of_compose() -> None:
    assert set(FILE) == {"services", "volumes"}
