"""What a hook may answer, and how a mistake is named."""

import pytest

from adapters.turn_hook.hook_answer import InvalidAnswer, read_answer
from domain.model.preparation import NOTHING_PREPARED, Preparation
from domain.model.prompt import Passage, ReplyOptions, Tool

LAST_ONES = Preparation(reply="B", changes_state=True)
DEEP = b"[" * 65 + b"]" * 65


@pytest.mark.parametrize(
    ("raw", "preparation"),
    [
        (b"{}", NOTHING_PREPARED),
        (b'{"instructions": null, "passages": null, "tools": null}', NOTHING_PREPARED),
        (b'{"instructions": ""}', NOTHING_PREPARED),
        (b'{"reply": "Hi"}', Preparation(reply="Hi")),
        (b'{"reply": "A", "state": 1, "reply": "B", "state": null}', LAST_ONES),
        (b'{"state": null}', Preparation(changes_state=True)),
        (b'{"state": {"a": [1, 2.50]}}', Preparation(changes_state=True, state='{"a":[1,2.50]}')),
        (b'{"state": "\xc3\xbc"}', Preparation(changes_state=True, state='"\u00fc"')),
        (
            b'{"state": "%b"}' % (b"x" * 16_382),
            Preparation(changes_state=True, state=f'"{"x" * 16_382}"'),
        ),
        (b'{"state": %b}' % DEEP[1:-1], Preparation(changes_state=True, state=DEEP[1:-1].decode())),
        (
            b'{"passages": [{"title": "T", "text": "x"}, {"title": "U", "text": "y", "url":null}]}',
            Preparation(passages=(Passage(title="T", text="x"), Passage(title="U", text="y"))),
        ),
        (b'{"tools": []}', Preparation(offered=frozenset())),
        (b'{"tools": ["a", "b"]}', Preparation(offered=frozenset({"a", "b"}))),
        (
            b'{"tools": ["a", {"name": "b", "description": "B", "parameters": {"type":"object"}}]}',
            Preparation(
                offered=frozenset({"a"}),
                tools=(Tool(name="b", description="B", parameters='{"type":"object"}'),),
            ),
        ),
        (
            b'{"tools": [{"name": "b"}]}',
            Preparation(
                offered=frozenset(),
                tools=(Tool(name="b", parameters='{"type":"object","properties":{}}'),),
            ),
        ),
        (
            (
                b'{"options": {"temperature": 0, "topP": 1, "presencePenalty": -2, '
                b'"frequencyPenalty": 2, "seed": 7, "stop": ["a"], "replyTokens": 5, '
                b'"effort": "low", "verbosity": "high", "toolChoice": {"name": "b"}, '
                b'"parallelToolCalls": false}}'
            ),
            Preparation(
                options=ReplyOptions(
                    temperature=0,
                    top_p=1,
                    presence_penalty=-2,
                    frequency_penalty=2,
                    seed=7,
                    stop=("a",),
                    reply_tokens=5,
                    effort="low",
                    verbosity="high",
                    tool_choice="=b",
                    parallel_tool_calls=False,
                )
            ),
        ),
        (
            b'{"options": {"toolChoice": "required"}}',
            Preparation(options=ReplyOptions(tool_choice="required")),
        ),
    ],
)
def test_an_answer_is_read(raw: bytes, preparation: Preparation) -> None:
    assert read_answer(raw) == preparation


@pytest.mark.parametrize(
    ("raw", "reason", "field"),
    [
        (b"planted", "not-json", None),
        (b"", "not-json", None),
        (b'{"reply": "planted"} {}', "not-json", None),
        (b'{"reply": "\xff"}', "not-json", None),
        (b'{"reply": "\\ud800"}', "not-json", None),
        (b"[]", "wrong-type", None),
        (b'{"planted": 1}', "unknown-field", None),
        (b'{"reply": 1}', "wrong-type", "reply"),
        (b'{"reply": " "}', "empty", "reply"),
        (b'{"reply": "a\\u0000"}', "not-text", "reply"),
        (b'{"reply": "%b"}' % (b"x" * 65_537), "too-long", "reply"),
        (b'{"instructions": ["planted"]}', "wrong-type", "instructions"),
        (b'{"instructions": "%b"}' % (b"x" * 32_769), "too-long", "instructions"),
        (b'{"passages": {}}', "wrong-type", "passages"),
        (
            b'{"passages": [%b]}' % b",".join([b'{"title":"t","text":"x"}'] * 33),
            "too-long",
            "passages",
        ),
        (b'{"passages": [{"title": "planted"}]}', "missing-field", "passages[0].text"),
        (b'{"passages": [{"title": "", "text": "x"}]}', "empty", "passages[0].title"),
        (b'{"passages": [{"title": "t", "text": "\\u0000"}]}', "not-text", "passages[0]"),
        (
            b'{"passages": [{"title": "%b", "text": "x"}]}' % (b"t" * 301),
            "too-long",
            "passages[0].title",
        ),
        (b'{"passages": [{"title": "t", "text": "%b"}]}' % (b"x" * 65_536), "too-long", "passages"),
        (
            b'{"passages": [{"title": "t", "text": "x", "planted": 1}]}',
            "unknown-field",
            "passages[0]",
        ),
        (b'{"a - at `$.planted words": 1}', "unknown-field", None),
        (b'{"missing required field `planted`": 1}', "unknown-field", None),
        (b'{"options": {"a` - at `$.planted": 1}}', "unknown-field", "options"),
        (b'{"tools": ["planted tool"]}', "invalid-name", "tools[0]"),
        (b'{"tools": ["planted\\n"]}', "invalid-name", "tools[0]"),
        (b'{"tools": [1]}', "wrong-type", "tools[0]"),
        (b'{"tools": [{"name": "a"}, {"name": "a"}]}', "repeated-name", "tools"),
        (b'{"tools": [{"name": "a", "parameters": []}]}', "wrong-type", "tools[0].parameters"),
        (b'{"tools": [{"name": "a", "parameters": {}}]}', "wrong-type", "tools[0].parameters"),
        (
            b'{"tools": ["b", {"name": "a", "parameters": {"type": "planted"}}]}',
            "wrong-type",
            "tools[1].parameters",
        ),
        (
            b'{"tools": [{"name": "a", "parameters": {"a": %b}}]}' % DEEP,
            "nested-too-deeply",
            "tools[0].parameters",
        ),
        (
            b'{"tools": [{"name": "a", "parameters": {"a": "%b"}}]}' % (b"x" * 65_536),
            "too-long",
            "tools[0].parameters",
        ),
        (b'{"options": {"temperature": 2.1}}', "out-of-range", "options.temperature"),
        (b'{"options": {"topP": -1}}', "out-of-range", "options.topP"),
        (b'{"options": {"replyTokens": 0}}', "out-of-range", "options.replyTokens"),
        (b'{"options": {"effort": "planted"}}', "unknown-value", "options.effort"),
        (b'{"options": {"toolChoice": "planted"}}', "unknown-value", "options.toolChoice"),
        (b'{"options": {"stop": ["a", "b", "c", "d", "e"]}}', "too-long", "options.stop"),
        (b'{"options": {"model": "planted"}}', "unknown-field", "options"),
        (b'{"state": %b}' % DEEP, "nested-too-deeply", "state"),
        (b'{"state": %b}' % (b"[" * 100_000 + b"]" * 100_000), "nested-too-deeply", None),
        (b'{"state": "\xff"}', "not-json", "state"),
        (b'{"state": "%b"}' % (b"x" * 16_383), "too-long", "state"),
    ],
)
def test_a_mistake_is_named_by_its_field_and_never_shown(
    raw: bytes, reason: str, field: str | None
) -> None:
    with pytest.raises(InvalidAnswer) as invalid:
        read_answer(raw)

    error = invalid.value
    assert (error.reason, error.field) == (reason, field)
    assert "planted" not in f"{error}{error!r}"
    assert error.__cause__ is None


@pytest.mark.parametrize(
    ("url", "is_valid"),
    [
        ("https://example.org", True),
        ("HTTP://example.org:8080/a?b=c#d", True),
        ("https://[::1]/", True),
        (f"https://a.test/{'x' * 2_033}", True),
        (f"https://a.test/{'x' * 2_034}", False),
        ("javascript:alert(1)", False),
        ("https:", False),
        ("https:///path", False),
        ("//example.org/", False),
        ("https://user:password@example.org/", False),
        ("https://example.org/a b", False),
        ("https://example.org/\n", False),
        (" https://example.org/", False),
        ("", False),
    ],
)
def test_a_url_is_one_that_people_can_open(url: str, is_valid: bool) -> None:  # noqa: FBT001 - a parameter
    raw = (
        b'{"passages": [{"title": "t", "text": "x", "url": "%b"}]}'
        % url.replace("\n", "\\n").encode()
    )
    if is_valid:
        assert read_answer(raw).passages[0].url == url
    else:
        with pytest.raises(InvalidAnswer):
            read_answer(raw)
