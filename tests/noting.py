"""Telemetry that tests can look at."""

from attrs import define, field


@define
class Notes:
    """Keeps every event with its facts."""

    events: list[tuple[str, dict[str, str | float | bool | None]]] = field(factory=list)

    def note(self, event: str, **facts: str | float | bool | None) -> None:
        self.events.append((event, facts))

    def named(self, event: str) -> list[dict[str, str | float | bool | None]]:
        return [facts for name, facts in self.events if name == event]
