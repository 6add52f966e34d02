"""What is said about a wrong setting: one plain sentence with its name and without its value."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from redis.asyncio.connection import parse_url

from entrypoints.settings import Settings, SettingsProblem, read_settings
from tests.support.redis_kinds import certificates

KEYS = "first:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
QUOTES = "remove the quotes around the value (docker run --env-file keeps them)."
COMMENT = "the value contains a comment. Write comments on lines of their own."
WHITE_SPACE = "the URL contains white space."
REDIS_SCHEME = "the URL must begin with rediss:// or redis://."
REDIS_OPTIONS = "the URL must not contain options after ? or #."
ENCODED = "the password contains /, ?, #, [ or ]. Write %2F, %3F, %23, %5B or %5D instead."
DATABASE = "after the host and port, only a database number may follow, as in /0."
SOCKET = "the path of a socket must follow unix://, as in unix:///run/redis.sock."
HTTP_SCHEME = "the URL must begin with http:// or https://."
NO_ASCII = "write the host name in its ASCII form, which begins with xn--."
NO_USER = "the URL must not contain a user or password."
LABEL = "a part of the host name is empty or too long."
PORT = "the port must be a number from 1 to 65535."
NO_KEY = "the key contains white space, or a character that no key has."
NO_HTTPS = (
    "use https://, because otherwise cookies would cross the network in plaintext. In a network "
    "that is protected in another way, leave it unset and list the host in PRIVITY_HOSTS."
)
SUFFIX = "remove /chat/completions from the end of the URL. It usually ends with /v1."
NO_CERTIFICATE = "the file contains no certificate in PEM format."
MISSING = "the file does not exist."
PATHS = (
    "REDIS_CA_FILE",
    "REDIS_CLIENT_CERT",
    "REDIS_CLIENT_KEY",
    "MODEL_CA_FILE",
    "PRIVITY_HOOK_CA_FILE",
    "ASSISTANT_FILE",
)
SECRET_FILES = (
    "REDIS_URL_FILE",
    "PRIVITY_KEYS_FILE",
    "MODEL_API_KEY_FILE",
    "PRIVITY_HOOK_SECRET_FILE",
)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ASSISTANT_FILE", "/planted\udcff", "the value is not UTF-8 text."),
        ("PRIVITY_V1", '"open"', QUOTES),
        ("PRIVITY_DOCS", "'false'", QUOTES),
        ("PRIVITY_KEYS", f'"{KEYS}"', QUOTES),
        ("MODEL_NAME", "“planted”", QUOTES),
        ("MODEL_NAME", "planted\udcff", "the value is not UTF-8 text."),
        ("PRIVITY_V1", "open # for everybody", COMMENT),
        ("MODEL_NAME", "planted # the small one", COMMENT),
        ("PRIVITY_PROXIES", "1 # nginx", COMMENT),
        ("REDIS_URL", "redis.planted.test:6379", REDIS_SCHEME),
        ("REDIS_URL", "https://redis.planted.test", REDIS_SCHEME),
        ("REDIS_URL", "redis:/redis.planted.test", REDIS_SCHEME),
        ("REDIS_URL", "rediss://", "the URL has no host."),
        ("REDIS_URL", "rediss://user:planted@", "the URL has no host."),
        ("REDIS_URL", "rediss://redis.test:planted", PORT),
        ("REDIS_URL", "rediss://redis.test:0", PORT),
        ("REDIS_URL", "rediss://redis.test:70000", PORT),
        ("REDIS_URL", "rediss://[2001:db8::1]:planted", PORT),
        ("REDIS_URL", "rediss://redis.test/planted", DATABASE),
        ("REDIS_URL", "rediss://redis.test/0?planted=none", REDIS_OPTIONS),
        ("REDIS_URL", "rediss://redis.test/0#planted", REDIS_OPTIONS),
        ("REDIS_URL", "rediss://redis.test /planted", WHITE_SPACE),
        ("REDIS_URL", "rediss://user:plan/ted@redis.test:6379/0", ENCODED),
        ("REDIS_URL", "rediss://:plan?ted@redis.test:6379/0", ENCODED),
        ("REDIS_URL", "rediss://user:plan#ted@redis.test:6379/0", ENCODED),
        ("REDIS_URL", "rediss://user:plan[ted@redis.test:6379/0", ENCODED),
        (
            "REDIS_URL",
            "rediss://user:planted%@redis.test:6379/0",
            "the password contains %. Write %25 instead.",
        ),
        ("REDIS_URL", "unix://", SOCKET),
        ("REDIS_URL", "unix:/planted.sock", SOCKET),
        (
            "REDIS_URL",
            "unix:///run/redis.sock?planted=1",
            "after the path of the socket, only ?db= and a number may follow.",
        ),
        ("REDIS_URL", "rediss://planted..test", LABEL),
        ("PRIVITY_PUBLIC_URL", f"https://{64 * 'x'}.planted.test", LABEL),
        (
            "PRIVITY_PUBLIC_URL",
            "https://plänted.test",
            "write the host name in its ASCII form, which begins with xn--.",
        ),
        ("MODEL_BASE_URL", "https://planted..test/v1", LABEL),
        ("PRIVITY_PUBLIC_URL", "planted.test", HTTP_SCHEME),
        ("PRIVITY_PUBLIC_URL", "http://planted.test", NO_HTTPS),
        ("PRIVITY_PUBLIC_URL", "http://192.0.2.7:8000", NO_HTTPS),
        (
            "PRIVITY_PUBLIC_URL",
            "https://planted.test/chat",
            "the URL must end after the host and port.",
        ),
        ("PRIVITY_PUBLIC_URL", "https://plantedä.test", NO_ASCII),
        ("PRIVITY_EMBEDDING_ORIGINS", "https://a.test,https://plantedä.test", NO_ASCII),
        ("PRIVITY_PUBLIC_URL", "https://planted@chat.test", NO_USER),
        ("PRIVITY_PUBLIC_URL", "https://chat.test:planted", PORT),
        ("PRIVITY_PUBLIC_URL", "https://chat.test?planted", "the URL must not contain ? or #."),
        ("PRIVITY_EMBEDDING_ORIGINS", "https://a.test, planted.test", HTTP_SCHEME),
        ("MODEL_BASE_URL", "planted.test:11434/v1", HTTP_SCHEME),
        ("MODEL_BASE_URL", "https://planted:x@model.test/v1", NO_USER),
        ("MODEL_BASE_URL", "https://model.test:planted/v1", PORT),
        ("MODEL_BASE_URL", "https://model.test/planted/chat/completions/", SUFFIX),
        ("MODEL_BASE_URL", "https://model.test/v1?planted=1", "the URL must not contain ? or #."),
        ("MODEL_API_KEY", "Bearer planted", "write the key alone, without Bearer."),
        ("MODEL_API_KEY", "plan ted", NO_KEY),
        ("MODEL_API_KEY", "plänted", NO_KEY),
        (
            "PRIVITY_API_KEY_DIGESTS",
            "ck_planted",
            "this is a client key. Write its SHA-256 digest instead (docs/openai_clients.md).",
        ),
        *((name, "/planted/file", MISSING) for name in (*PATHS, *SECRET_FILES)),
        *((name, f"{__file__}/planted", MISSING) for name in (*PATHS, *SECRET_FILES)),
        *(
            (name, "~/planted", f"{MISSING} Write the whole path: ~ is not replaced.")
            for name in (*PATHS, *SECRET_FILES)
        ),
        *((name, "/", "this is a directory, not a file.") for name in (*PATHS, *SECRET_FILES)),
        *((name, "/dev/tty", "this is a device, not a file.") for name in (*PATHS, *SECRET_FILES)),
    ],
)
def test_a_wrong_value(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsProblem) as caught:
        read_settings({name: value, **partners(name)})

    assert caught.value.problems == [f"{name}: {sentence}"]
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def partners(name: str) -> dict[str, str]:
    """Other settings without which the named one would be a second problem."""
    if name == "MODEL_BASE_URL":
        return {"MODEL_NAME": "small"}
    return {"MODEL_BASE_URL": "https://model.test/v1"} if name == "MODEL_NAME" else {}


@pytest.mark.parametrize("name", [*PATHS, *SECRET_FILES])
def test_a_file_that_this_user_may_not_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)

    assert problems_of({name: str(tmp_path / "planted")}) == [
        f"{name}: the user of this process may not read the file."
    ]


@pytest.mark.parametrize("name", ["ASSISTANT_FILE", *SECRET_FILES])
def test_a_file_that_is_not_text(name: str, tmp_path: Path) -> None:
    (tmp_path / "planted").write_bytes(b"\xff\xfe")

    assert problems_of({name: str(tmp_path / "planted")}) == [
        f"{name}: the file is not UTF-8 text."
    ]


@pytest.mark.parametrize("name", ["REDIS_URL_FILE", "PRIVITY_KEYS_FILE"])
def test_the_file_of_a_secret_without_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" \n", "utf-8")

    assert problems_of({name: str(tmp_path / "secret")}) == [f"{name}: the file is empty."]


def test_the_file_of_the_api_key_may_be_empty_for_a_model_without_one(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n", "utf-8")

    assert read_settings({"MODEL_API_KEY_FILE": str(tmp_path / "secret")}) == Settings()


def test_a_wrong_value_in_the_file_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "url").write_text('"redis://localhost"', "utf-8")

    assert problems_of({"REDIS_URL_FILE": str(tmp_path / "url")}) == [f"REDIS_URL_FILE: {QUOTES}"]


def test_the_place_of_an_error_in_the_assistants_file(tmp_path: Path) -> None:
    file = tmp_path / "assistant.toml"
    file.write_text('system_prompt = "a"\nwelcome = planted\n', "utf-8")

    assert problems_of({"ASSISTANT_FILE": str(file)}) == [
        "ASSISTANT_FILE: the file is not valid TOML at line 2, column 11."
    ]


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("redis://user:p@ss@localhost/0", "p@ss"),
        ("redis://user:p%40%2F%23%3F%25@localhost/0", "p@/#?%"),
        ("redis://user:p:s&s=+!@localhost/0", "p:s&s=+!"),
    ],
)
def test_a_password_with_other_special_characters_is_understood(url: str, password: str) -> None:
    settings = read_settings({"REDIS_URL": url, "PRIVITY_KEYS": KEYS})

    assert parse_url(settings.redis_url or "")["password"] == password


class TestCertificatesForRedis:
    """Files that are no certificates, or do not belong together."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, str]:
        """A client certificate and its key."""
        issued = certificates().authority.issue_cert("privity")
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
        issued.private_key_pem.write_to_path(str(tmp_path / "client.key"))
        return {
            "REDIS_CLIENT_CERT": str(tmp_path / "client.pem"),
            "REDIS_CLIENT_KEY": str(tmp_path / "client.key"),
        }

    def test_a_pair_is_accepted(self, files: dict[str, str]) -> None:
        assert read_settings(files).redis_client_cert == Path(files["REDIS_CLIENT_CERT"])

    def test_no_certificate_of_an_authority(self, files: dict[str, str]) -> None:
        assert problems_of({"REDIS_CA_FILE": files["REDIS_CLIENT_KEY"]}) == [
            f"REDIS_CA_FILE: {NO_CERTIFICATE}"
        ]

    def test_the_two_files_are_mixed_up(self, files: dict[str, str]) -> None:
        cert, key = files.values()

        assert problems_of({"REDIS_CLIENT_CERT": key, "REDIS_CLIENT_KEY": cert}) == [
            f"REDIS_CLIENT_CERT: {NO_CERTIFICATE}"
        ]
        assert problems_of({"REDIS_CLIENT_CERT": cert, "REDIS_CLIENT_KEY": cert}) == [
            "REDIS_CLIENT_KEY: the file contains no private key in PEM format."
        ]

    def test_a_key_of_another_certificate(self, files: dict[str, str], tmp_path: Path) -> None:
        other = certificates().authority.issue_cert("other")
        other.private_key_pem.write_to_path(str(tmp_path / "other.key"))

        assert problems_of({**files, "REDIS_CLIENT_KEY": str(tmp_path / "other.key")}) == [
            "REDIS_CLIENT_KEY does not belong to the certificate in REDIS_CLIENT_CERT."
        ]

    def test_a_damaged_key(self, files: dict[str, str]) -> None:
        Path(files["REDIS_CLIENT_KEY"]).write_text(
            "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n", "utf-8"
        )

        assert problems_of(files) == ["REDIS_CLIENT_CERT or REDIS_CLIENT_KEY: the file is damaged."]

    def test_a_key_with_a_passphrase(self, files: dict[str, str]) -> None:
        path = Path(files["REDIS_CLIENT_KEY"])
        encrypted = load_pem_private_key(path.read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"planted")
        )
        path.write_bytes(encrypted)

        assert problems_of(files) == [
            "REDIS_CLIENT_KEY: the private key needs a passphrase. Store it without one."
        ]


def problems_of(environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsProblem) as caught:
        read_settings(environment)
    return caught.value.problems
