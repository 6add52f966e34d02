"""The settings of the operator's hook."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from attrs import frozen

from domain.model.preparation import HookPolicy
from entrypoints.model_settings import ModelSettings
from entrypoints.setting_types import (
    ALLOW,
    FAIL_OR_CONTINUE,
    HOOK_SECRETS,
    PATH,
    seconds,
    setting,
    whole_number,
)
from entrypoints.url_settings import HOOK_URL, is_remote


@frozen(kw_only=True)
class HookSettings(ModelSettings):
    """Where the hook is and what it gets, besides the settings of the model and the limits."""

    hook_url: str | None = setting(
        "PRIVITY_HOOK_URL",
        HOOK_URL,
        None,
        "URL of your hook, which is asked before each reply (docs/pipeline.md).",
        shown="no hook",
    )
    hook_keys: tuple[bytes, ...] = setting(
        "PRIVITY_HOOK_SECRET",
        HOOK_SECRETS,
        (),
        "Secret that signs the requests to the hook, `whsec_…`. `privity new-hook-secret` creates "
        "one. During a rotation, set two, separated by a comma.",
        secret=True,
        shown="with PRIVITY_HOOK_URL: required",
    )
    hook_is_required: bool = setting(
        "PRIVITY_HOOK_FAILURE",
        FAIL_OR_CONTINUE,
        True,
        "If the hook fails: `fail` ends the turn with an error, `continue` replies without it.",
        shown="fail",
    )
    hook_timeout: timedelta = setting(
        "PRIVITY_HOOK_TIMEOUT_SECONDS",
        seconds(0.1, 120),
        timedelta(seconds=10),
        "Maximum time to wait for the hook's whole answer, including a retry.",
    )
    hook_connect_timeout: timedelta = setting(
        "PRIVITY_HOOK_CONNECT_TIMEOUT_SECONDS",
        seconds(0.1, 60),
        timedelta(seconds=2),
        "Connect timeout for the hook.",
    )
    hook_messages: int = setting(
        "PRIVITY_HOOK_MESSAGES",
        whole_number(0, 100),
        0,
        "How many earlier messages the hook gets along with the newest one.",
    )
    hook_ca_file: Path | None = setting(
        "PRIVITY_HOOK_CA_FILE",
        PATH,
        None,
        "CA certificates for verifying the hook (PEM).",
        shown="the system's",
    )
    hook_plaintext: bool = setting(
        "PRIVITY_HOOK_PLAINTEXT",
        ALLOW,
        False,
        "`allow` permits plaintext to a hook on another machine, for example on a private network.",
        shown="",
    )

    @property
    def hook_policy(self) -> HookPolicy:
        """Whether there is a hook, and how it is used."""
        return HookPolicy(
            enabled=self.hook_url is not None,
            messages=self.hook_messages,
            is_required=self.hook_is_required,
        )

    @property
    def hook_problems(self) -> Iterator[str]:
        """Contradictions between the settings of the hook."""
        if self.hook_url and not self.hook_keys:
            yield (
                "PRIVITY_HOOK_URL needs PRIVITY_HOOK_SECRET. Create one with "
                "`privity new-hook-secret`, and give it to the hook as well."
            )
        if self.hook_keys and not self.hook_url:
            yield "PRIVITY_HOOK_SECRET is set, but PRIVITY_HOOK_URL is not."
        if self.hook_connect_timeout > self.hook_timeout:
            yield (
                "PRIVITY_HOOK_CONNECT_TIMEOUT_SECONDS must not be more than "
                "PRIVITY_HOOK_TIMEOUT_SECONDS."
            )
        if is_remote(self.hook_url, scheme="http") and not self.hook_plaintext:
            yield (
                "PRIVITY_HOOK_URL connects to another machine without TLS. Use https://, or set "
                "PRIVITY_HOOK_PLAINTEXT=allow."
            )
