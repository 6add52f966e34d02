"""``privity new-key``, ``privity new-client-key`` and ``privity new-hook-secret``."""

import os
from typing import Annotated, Final, NoReturn

import typer

from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing, KeyRingProblem, new_master_key
from adapters.turn_hook.hook_signature import new_secret
from entrypoints.cli.terminal import write_error
from entrypoints.settings import SettingsProblem, read_settings

_WRONG_SETTINGS: Final = 2


def new_key(
    label: Annotated[str, typer.Argument(help="A name for the key.")] = "first",
) -> None:
    """Create a master key for PRIVITY_KEYS.

    Store it like a password. To rotate, add the new key after the old one and deploy. Then move it
    to the front and deploy. Remove the old key 24 hours later.
    """
    entry = f"{label}:{new_master_key(os.urandom)}"
    try:
        KeyRing.parse(entry)
    except KeyRingProblem as problem:
        _fail(str(problem))
    typer.echo(entry)


def new_client_key() -> None:
    """Create a client key with PRIVITY_KEYS, for an app server; /v1 accepts it.

    Only the holder of the key can open the conversations created with it. It is not stored
    anywhere.
    """
    try:
        settings = read_settings(os.environ)
        if settings.keys is None:
            _fail("PRIVITY_KEYS is not set. Without it, a client key is valid in one process only.")
        ring = KeyRing.parse(settings.keys)
    except SettingsProblem as problem:
        _fail(*problem.problems)
    except KeyRingProblem as problem:
        _fail(str(problem))
    typer.echo(SealedClientKeys(ring=ring, random_bytes=os.urandom).issue(from_operator=True))


def new_hook_secret() -> None:
    """Create a secret for PRIVITY_HOOK_SECRET, which your hook needs as well.

    Store it like a password. Anybody who has it can send questions to the hook in the name of the
    service.
    """
    typer.echo(new_secret(os.urandom))


def _fail(*problems: str) -> NoReturn:
    for problem in problems:
        write_error(problem)
    raise typer.Exit(_WRONG_SETTINGS)
