"""Reading the settings: once, from the environment, checked as a whole.

Every secret may also be given as the path of a file that holds it, in ``NAME_FILE``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from adapters.assistant_profile.toml_file import ProfileProblem, load_assistant
from adapters.sealing.key_ring import KeyRing, KeyRingProblem
from entrypoints.contradictions import contradictions
from entrypoints.setting_kinds import INFO, SettingInfo
from entrypoints.settings import Settings


class SettingsProblem(Exception):
    """The settings do not work together. Says every problem at once, by name, without a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def setting_infos() -> tuple[SettingInfo, ...]:
    """Every setting, in the order of the documentation."""
    return tuple(field.metadata[INFO] for field in attrs.fields(Settings))


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that ``environment`` holds; empty values count as absent.

    Raises:
        SettingsProblem: naming everything that is wrong.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for field in attrs.fields(Settings):
        info: SettingInfo = field.metadata[INFO]
        try:
            text = _text_of(info, environment)
            if text:
                values[field.name] = info.parse(text)
        except (ValueError, KeyError):
            # The cause would show the value, which may be a secret.
            problems.append(f"{info.name}: expected {info.expects}.")
        except OSError:
            problems.append(f"{info.name}_FILE: cannot be read.")
    problems.extend(_unusable(values))
    if not problems:
        settings = Settings(**values)
        problems.extend(contradictions(settings))
        if not problems:
            return settings
    raise SettingsProblem(problems)


def _unusable(values: Mapping[str, Any]) -> Iterator[str]:
    """What only shows when it is looked into: the keys and the assistant's file."""
    try:
        if "keys" in values:
            KeyRing.parse(values["keys"])
    except KeyRingProblem as problem:
        yield str(problem)
    try:
        load_assistant(values.get("assistant_file"))
    except ProfileProblem as problem:
        yield str(problem)


def _text_of(info: SettingInfo, environment: Mapping[str, str]) -> str:
    path = environment.get(f"{info.name}_FILE", "") if info.secret else ""
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return environment.get(info.name, "").strip()
