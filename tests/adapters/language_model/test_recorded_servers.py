"""The replies and errors of common servers, in the form that each documents or was seen to send.

Each file in ``recorded`` names its source. docs/models.md says which servers were tried themselves.
"""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from domain.model.message import FinishReason
from domain.model.piece import ModelFinished, ModelPiece, ReasoningPiece, TextPiece
from ports.language_model import ModelError
from tests.support.model_client import collect_reply, model_at
from tests.support.model_server import ModelResponse, model_server

FILES: Final = sorted((Path(__file__).parent / "recorded").glob("*.json"))
RECORDED: Final = {path.stem: json.loads(path.read_text("utf-8")) for path in FILES}
EXCHANGES: Final = {
    f"{server}: {exchange['title']}": exchange
    for server, recorded in RECORDED.items()
    for exchange in recorded["exchanges"]
}


def responses(exchange: dict[str, Any]) -> list[ModelResponse]:
    return [
        ModelResponse(
            status=response["status"],
            headers={"content-type": content_type(response["status"])},
            chunks=(response["body"].encode(),),
        )
        for response in exchange["responses"]
    ]


def content_type(status: int) -> str:
    return "text/event-stream" if status == 200 else "application/json"


def summary(reply: list[ModelPiece | ModelFinished]) -> dict[str, Any]:
    """The text, the reasoning, the finish reason and the tokens; only those that there are."""
    *pieces, last = reply
    assert isinstance(last, ModelFinished)
    usage = last.usage
    members = {
        "text": "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)),
        "reasoning": "".join(piece.text for piece in pieces if isinstance(piece, ReasoningPiece)),
        "reason": last.reason.value,
        "usage": [usage.input_tokens, usage.output_tokens] if usage else None,
    }
    return {name: value for name, value in members.items() if value}


@pytest.mark.parametrize("title", EXCHANGES)
async def test_the_reply_or_error_is_understood(title: str) -> None:
    exchange = EXCHANGES[title]
    expected = exchange["expected"]
    async with model_server(*responses(exchange)) as server, model_at(server.url) as model:
        if "error" in expected:
            with pytest.raises(ModelError) as failure:
                await collect_reply(model)

            assert failure.value.code == expected["error"]
        else:
            assert summary(await collect_reply(model)) == expected
        for body, members in zip(server.bodies, exchange.get("requests", [{}]), strict=True):
            assert {name: body.get(name) for name in members} == members


@pytest.mark.parametrize("server", RECORDED)
def test_every_server_is_recorded_with_a_reply_and_with_its_errors(server: str) -> None:
    expected = [exchange["expected"] for exchange in RECORDED[server]["exchanges"]]

    assert any("text" in members for members in expected)
    assert FinishReason.LENGTH.value in [members.get("reason") for members in expected]
    assert any("error" in members for members in expected)
    assert RECORDED[server]["source"]
