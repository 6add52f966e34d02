"""Create what the services of docker-compose.yml share: certificates, a password, a master key.

    python3 prepare.py REDIS_SECRETS PRIVITY_SECRETS REDIS_DATA MODEL_API_KEY_FILE

Everything is created on first use and kept in two volumes. Later runs replace only two files: the
model provider's API key, which the operator may have changed, and the permissions of the Redis
users, because a newer release may need more of them. Each service gets only its own secrets: Redis
never sees the master key.
"""
# ruff: noqa: INP001 - a script

import base64
import hashlib
import os
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "redis"
VALIDITY = timedelta(days=3650)
REDIS_USER = (999, 1000)
PRIVITY_USER = (10001, 10001)
COMMANDS = (
    "+ping +select +eval +evalsha +lrange +lindex +lset +ltrim +rpush +del +pttl +pexpire "
    "+xadd +xrange +xrevrange +xinfo|groups +xgroup|create "
    "+time +get +set +hset +hget +hgetall +hdel "
    "+info +scan +acl|whoami +config|get"
)


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
        path.write_bytes(content)
        path.chmod(0o400)
        os.chown(path, *owner)
    os.chown(directory, *owner)
    directory.chmod(0o500)


def _acl_file(password: str) -> bytes:
    digest = hashlib.sha256(password.encode()).hexdigest()
    keys = "~conversation:state:* ~{conversation:state:* ~process:* ~{ratelimit}:*"
    lines = (
        # This user has no password and cannot log in. But Redis replays its append-only file with
        # the user's permissions: without them it skips all transactions, and a restart forgets
        # everything.
        "user default off resetpass ~* &* +@all",
        f"user privity on #{digest} resetkeys {keys} resetchannels -@all {COMMANDS}",
        "user health on nopass resetkeys resetchannels -@all +ping",
    )
    return ("\n".join(lines) + "\n").encode()


def main(redis_secrets: Path, privity_secrets: Path, redis_data: Path, model_api_key: Path) -> None:
    os.chown(redis_data, *REDIS_USER)
    _write_files(privity_secrets, {"model-api-key": model_api_key.read_bytes()}, PRIVITY_USER)
    redis_url = privity_secrets / "redis-url"
    if redis_url.exists():
        password = urlsplit(redis_url.read_text()).password or ""
        _write_files(redis_secrets, {"users.acl": _acl_file(password)}, REDIS_USER)
        return
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_pem = _certificate("privity compose", ca_key.public_key(), ca_key, ca=True)
    password = secrets.token_urlsafe(32)
    master_key = base64.b64encode(secrets.token_bytes(32)).decode()
    for_redis = {
        "ca.pem": ca_pem,
        "redis.pem": _certificate(HOST, server_key.public_key(), ca_key, ca=False),
        "redis.key": _private_pem(server_key),
        "users.acl": _acl_file(password),
    }
    for_privity = {
        "ca.pem": ca_pem,
        "keys": f"first:{master_key}".encode(),
        "redis-url": f"rediss://privity:{password}@{HOST}:6379/0".encode(),
    }
    _write_files(redis_secrets, for_redis, REDIS_USER)
    _write_files(privity_secrets, for_privity, PRIVITY_USER)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
