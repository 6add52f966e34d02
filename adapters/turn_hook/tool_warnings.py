"""What is odd about the tools in a hook's answer, although the answer is valid.

The texts end up in the log at the start of the service, so only the advice has the hook's words.
"""

from collections.abc import Iterator
from typing import Final

from domain.model.preparation import Preparation
from domain.model.tool_settings import ToolSettings
from ports.findings import Finding, Level

_NAMES: Final = "tools of the file"
_CHOICE: Final = "toolChoice"


def tool_warnings(preparation: Preparation, in_file: ToolSettings | None) -> Iterator[Finding]:
    """Names that no tool has, and choices that cannot be met.

    ``in_file``: the tools of the assistant's file; None if there is no file to compare with.
    """
    yield from _unknown_names(preparation, in_file)
    choice = preparation.options.tool_choice or ""
    if choice == "required":
        yield from _required(preparation, in_file)
    elif choice.startswith("="):
        yield from _chosen(choice.removeprefix("="), preparation, in_file)


def _unknown_names(preparation: Preparation, in_file: ToolSettings | None) -> Iterator[Finding]:
    if preparation.offered is None or in_file is None:
        return
    unknown = sorted(preparation.offered - _declared(in_file) - _own(preparation))
    if not unknown:
        return
    text = f"not in the assistant's file: {len(unknown)} of the names in `tools`"
    names = ", ".join(unknown)
    if _may_have_more(in_file):
        advice = f"A tool server may have them; compare the spelling with its list: {names}"
        yield Finding(Level.UNKNOWN, _NAMES, f"{text}; a tool server may have them", advice)
        return
    advice = f"Correct them, or declare the tools in ASSISTANT_FILE: {names}"
    yield Finding(Level.WARNING, _NAMES, f"{text}, so the model is not offered them", advice)


def _required(preparation: Preparation, in_file: ToolSettings | None) -> Iterator[Finding]:
    is_empty = preparation.offered is not None and not preparation.offered
    has_none = preparation.offered is None and in_file is not None and _is_without_tools(in_file)
    if not preparation.tools and (is_empty or has_none):
        why = "`tools` is empty" if is_empty else "the assistant's file has no tools"
        advice = "Offer a tool in `tools`, or leave toolChoice out."
        yield Finding(Level.WARNING, _CHOICE, f'it is "required", but {why}', advice)


def _chosen(name: str, preparation: Preparation, in_file: ToolSettings | None) -> Iterator[Finding]:
    if name in _own(preparation):
        return
    if preparation.offered is not None:
        if name not in preparation.offered:
            text = "it names a tool that is not in `tools`, so the model is not offered it"
            yield Finding(Level.WARNING, _CHOICE, text, f"Add it to `tools`: {name}")
    elif in_file is not None and name not in _declared(in_file):
        text = "it names a tool that is not in the assistant's file"
        if _may_have_more(in_file):
            advice = f"Compare the spelling with the list of the tool server: {name}"
            yield Finding(Level.UNKNOWN, _CHOICE, f"{text}; a tool server may have it", advice)
        else:
            advice = f"Correct the name, or declare the tool in ASSISTANT_FILE: {name}"
            yield Finding(Level.WARNING, _CHOICE, text, advice)


def _own(preparation: Preparation) -> frozenset[str]:
    return frozenset(tool.name for tool in preparation.tools)


def _declared(in_file: ToolSettings) -> frozenset[str]:
    """The names in the file. Other names of tool servers are not known without asking them."""
    allowed = (server.allowed or frozenset() for server in in_file.servers)
    return frozenset(tool.name for tool in in_file.client).union(*allowed)


def _may_have_more(in_file: ToolSettings) -> bool:
    return any(server.allowed is None for server in in_file.servers)


def _is_without_tools(in_file: ToolSettings) -> bool:
    return not in_file.client and not in_file.servers
