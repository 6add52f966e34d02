"""``privity new-key`` and ``privity new-client-key``."""

import os
from typing import Annotated, Final, NoReturn

import typer

from adapters.sealing.client_keys import SealedClientKeys
from adapters.sealing.key_ring import KeyRing, KeyRingProblem, new_master_key
from entrypoints.settings import SettingsProblem, read_settings

_WRONG_SETTINGS: Final = 2


def new_key(
    label: Annotated[str, typer.Argument(help="What people call the key.")] = "first",
) -> None:
    """Make a master key for PRIVITY_KEYS.

    Keep it like a password. To rotate, add the new key behind the old one, roll out, move it to
    the front, roll out, and drop the old one 24 hours later.
    """
    entry = f"{label}:{new_master_key(os.urandom)}"
    try:
        KeyRing.parse(entry)
    except KeyRingProblem as problem:
        _fail(str(problem))
    typer.echo(entry)


def new_client_key() -> None:
    """Make a client key under PRIVITY_KEYS, for an app server to act for one person.

    Only its holder can open that person's conversations; it is not stored anywhere.
    """
    try:
        settings = read_settings(os.environ)
        if settings.keys is None:
            _fail("PRIVITY_KEYS is not set; without it a key works in one process only.")
        ring = KeyRing.parse(settings.keys)
    except (SettingsProblem, KeyRingProblem) as problem:
        _fail(str(problem))
    typer.echo(SealedClientKeys(ring=ring, random_bytes=os.urandom).issue())


def _fail(why: str) -> NoReturn:
    typer.secho(f"privity: {why}", err=True, fg=typer.colors.RED)
    raise typer.Exit(_WRONG_SETTINGS)
