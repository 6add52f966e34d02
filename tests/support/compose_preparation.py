"""Runs compose/prepare.py in a folder instead of a container."""

import os
import runpy
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from tests.architecture.sources import ROOT

FILES: Final = (
    "ASSISTANT_FILE",
    "MODEL_API_KEY_FILE",
    "MODEL_CA_FILE",
    "PRIVITY_HOOK_SECRET_FILE",
    "PRIVITY_HOOK_CA_FILE",
    "PRIVITY_KEYS_FILE",
)


@frozen(kw_only=True)
class Preparation:
    """The volumes and the inputs of the service ``prepare``, as folders below ``root``."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> "Preparation":
        for folder in ("input", "project", "data", "secrets/redis", "secrets/privity"):
            (root / folder).mkdir(parents=True)
        preparation = cls(root=root)
        for setting in FILES:
            preparation.input(setting).symlink_to(os.devnull)
        return preparation

    def input(self, setting: str) -> Path:
        """Where the file is mounted that the setting names; the null device if there is none."""
        return self.root / "input" / setting.lower().replace("_", "-")

    def provide(self, setting: str, content: str) -> None:
        self.input(setting).unlink()
        self.input(setting).write_text(content)

    def run(self) -> None:
        """Prepare the volumes. Only root could give the files to other users, so nobody does."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "chown", lambda *_: None)
            script = runpy.run_path(str(ROOT / "compose/prepare.py"))
            for folder in ("secrets/redis", "secrets/privity"):
                (self.root / folder).chmod(0o700)
            script["main"](self.root)

    def secret(self, name: str) -> str:
        """The content of a file in a volume, such as ``privity/keys``."""
        return (self.root / "secrets" / name).read_text()
