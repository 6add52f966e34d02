"""Create what the services of docker-compose.yml share: certificates, passwords, a master key.

Everything is created on first use and kept in two volumes. Later runs replace only the files that
the operator may have changed, and the permissions of the Redis users, because a newer release may
need more of them. Each service gets only its own secrets: Redis never sees the master key.
"""
# ruff: noqa: INP001 - a script

import base64
import difflib
import hashlib
import os
import re
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST: Final = "redis"
VALIDITY: Final = timedelta(days=3650)
REDIS_USER: Final = (999, 1000)
PRIVITY_USER: Final = (10001, 10001)

OPERATORS_FILES: Final = {
    "ASSISTANT_FILE": "assistant.toml",
    "MODEL_API_KEY_FILE": "model-api-key",
    "MODEL_CA_FILE": "model-ca.pem",
    "PRIVITY_HOOK_SECRET_FILE": "hook-secret",
    "PRIVITY_HOOK_CA_FILE": "hook-ca.pem",
    "PRIVITY_KEYS_FILE": "keys",
}
"""The settings that name a file on the host, and what the file is called in the container."""

COMMANDS: Final = (
    "+ping +select +eval +evalsha +lrange +lindex +lset +ltrim +rpush +del +pttl +pexpire "
    "+xadd +xrange +xrevrange +xinfo|groups +xgroup|create "
    "+time +get +set +hset +hget +hgetall +hdel "
    "+info +scan +config|get"
)
OPERATORS_COMMANDS: Final = "+ping +info +dbsize +scan +type +ttl +pttl +memory|usage +acl|whoami"
"""They show names, sizes and times, never a value, and do not count as use of a conversation."""

# CLIENT NO-TOUCH, in a form that Redis 7.0 accepts too: it refuses an ACL file with a command that
# it does not know. Every other command of Redis 7.0 in this group is taken away again.
NO_TOUCH: Final = (
    "+client -client|caching -client|getname -client|getredir -client|help -client|id -client|info "
    "-client|kill -client|list -client|no-evict -client|pause -client|reply -client|setname "
    "-client|tracking -client|trackinginfo -client|unblock -client|unpause"
)
KEY_IN_ENV_FILE: Final = re.compile(r"^\s*(export )?MODEL_API_KEY=['\"]?\w", re.MULTILINE)
OURS_IN_ENV_FILE: Final = re.compile(
    r"^[^\S\n]*(?:export )?(PRIVITY_\w+)=[^\S\n]*[^\s#]", re.MULTILINE
)
NOT_PASSED_ON: Final = frozenset(
    {"PRIVITY_KEYS", "PRIVITY_URL", "PRIVITY_CLIENT_KEY", "PRIVITY_CLIENT_KEY_FILE"}
)
"""Names of ours in .env that are meant for the shell and have no effect in Compose."""


class InputProblem(Exception):
    """An input cannot be used; the message is a sentence for the operator."""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, public: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey, *, ca: bool
) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name("privity compose"))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        names = x509.SubjectAlternativeName([x509.DNSName(subject), x509.DNSName("localhost")])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_files(directory: Path, files: dict[str, bytes], owner: tuple[int, int]) -> None:
    for name, content in files.items():
        path = directory / name
        path.unlink(missing_ok=True)  # it may be a link to the null device
        path.write_bytes(content)
        path.chmod(0o400)
        os.chown(path, *owner)
    os.chown(directory, *owner)
    directory.chmod(0o500)


def _link_to_nothing(path: Path) -> None:
    """A setting that names the null device counts as not set."""
    path.unlink(missing_ok=True)
    path.symlink_to(os.devnull)


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _acl_file(*, service_password: str, operator_password: str) -> bytes:
    keys = "~conversation:state:* ~{conversation:state:* ~process:* ~{ratelimit}:*"
    no_rights = "resetkeys resetchannels -@all"
    lines = (
        # This user has no password and cannot log in. But Redis replays its append-only file with
        # the user's permissions: without them it skips all transactions, and a restart forgets
        # everything.
        "user default off resetpass ~* &* +@all",
        f"user privity on #{_digest(service_password)} {no_rights} {keys} {COMMANDS} {NO_TOUCH}",
        f"user operator on #{_digest(operator_password)} {no_rights} ~* {OPERATORS_COMMANDS}",
        f"user health on nopass {no_rights} +ping",
    )
    return ("\n".join(lines) + "\n").encode()


def _operators_files(folder: Path) -> dict[str, bytes]:
    """The content of each file that the operator provides, by its name in the container.

    Raises:
        InputProblem: a file cannot be read.
    """
    return {
        name: content
        for setting, name in OPERATORS_FILES.items()
        if (content := _content(folder / setting.lower().replace("_", "-"), setting))
    }


def _content(path: Path, setting: str) -> bytes:
    if path.is_dir():
        raise InputProblem(
            f"{setting} names a folder instead of a file. If an earlier start made this folder "
            "because the file was missing, remove it and create the file."
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputProblem(f"{setting}: the file cannot be read ({error.strerror}).") from error


def _check_env_file(project: Path, files: dict[str, bytes]) -> None:
    """Refuse a .env with a setting that no container would get.

    Raises:
        InputProblem: a model's API key, or an unknown name that begins with ``PRIVITY_``.
    """
    path = project / ".env"
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    if "model-api-key" not in files and KEY_IN_ENV_FILE.search(text):
        raise InputProblem(
            "MODEL_API_KEY is set in .env, but Compose takes the key only from a file. Write the "
            "key to a file, and set MODEL_API_KEY_FILE to the path of that file instead."
        )
    known = _names_in_compose_files() | NOT_PASSED_ON
    for name in OURS_IN_ENV_FILE.findall(text):
        if name not in known:
            similar = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {similar[0]}?" if similar else "docs/settings.md lists them."
            raise InputProblem(f"{name} in .env is not a setting of Privity; {hint}")


def _names_in_compose_files() -> frozenset[str]:
    """Every name in docker-compose.yml, and in files with which the operator extends it."""
    files = Path(__file__).resolve().parents[1].glob("*compose*.y*ml")
    return frozenset(
        name for file in files for name in re.findall(r"PRIVITY_\w+", file.read_text("utf-8"))
    )


def _first_files() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The secrets of Redis and those of the service, all new."""
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_pem = _certificate("privity compose", ca_key.public_key(), ca_key, ca=True)
    master_key = base64.b64encode(secrets.token_bytes(32)).decode()
    for_redis = {
        "ca.pem": ca_pem,
        "redis.pem": _certificate(HOST, server_key.public_key(), ca_key, ca=False),
        "redis.key": _private_pem(server_key),
    }
    for_privity = {
        "ca.pem": ca_pem,
        "keys": f"first:{master_key}".encode(),
        "redis-url": f"rediss://privity:{secrets.token_urlsafe(32)}@{HOST}:6379/0".encode(),
    }
    return for_redis, for_privity


def _redis_users(redis_secrets: Path, redis_url: bytes) -> dict[str, bytes]:
    """The files with the Redis users and the operator's password, which is kept if there is one."""
    kept = redis_secrets / "operator-password"
    operator_password = kept.read_text() if kept.exists() else secrets.token_urlsafe(32)
    acl_file = _acl_file(
        service_password=urlsplit(redis_url.decode()).password or "",
        operator_password=operator_password,
    )
    return {"operator-password": operator_password.encode(), "users.acl": acl_file}


def main(root: Path) -> None:
    """Prepare the volumes that are mounted below ``root``.

    Raises:
        InputProblem: a file of the operator's cannot be used; nothing was changed.
    """
    files = _operators_files(root / "input")
    _check_env_file(root / "project", files)
    redis_secrets, privity_secrets = root / "secrets/redis", root / "secrets/privity"
    redis_url = privity_secrets / "redis-url"
    is_first_use = not redis_url.exists()
    for_redis, for_privity = _first_files() if is_first_use else ({}, {})
    url = for_privity["redis-url"] if is_first_use else redis_url.read_bytes()
    os.chown(root / "data", *REDIS_USER)
    _write_files(redis_secrets, for_redis | _redis_users(redis_secrets, url), REDIS_USER)
    for name in set(OPERATORS_FILES.values()) - {"keys"} - set(files):
        _link_to_nothing(privity_secrets / name)
    _write_files(privity_secrets, for_privity | files, PRIVITY_USER)


if __name__ == "__main__":
    try:
        main(Path("/"))
    except InputProblem as problem:
        sys.exit(f"privity: {problem}")
