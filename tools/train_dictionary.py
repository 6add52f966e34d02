"""Trains the compression dictionary of ``adapters/wire_format`` and writes it beside the code.

    python -m tools.train_dictionary

The samples are frames as they are stored, made of our own sentences (``tools/phrases.py``), the
project's documentation and random ids, from a fixed seed. A new dictionary is a new file with a new
number: records name the one they were compressed with.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import zstandard
from attrs import evolve

from adapters.wire_format import packing
from adapters.wire_format.conversation_record import encode_frame
from domain.model.conversation import Conversation
from domain.model.identifiers import MessageId, SessionId, TurnId
from domain.model.message import FinishReason, TextPart
from domain.model.piece import TextPiece
from domain.service.turn_lifecycle import NewTurn, add_user_message, finish, new_conversation
from tools.phrases import PHRASES

TARGET: Final = Path(packing.__file__).with_name("dictionary_0.zdict")
SIZE: Final = 16_384
_SAMPLES: Final = 4_000
_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def _texts() -> list[list[str]]:
    """Sentences by language; English has our documentation as well."""
    texts = [block.splitlines() for block in PHRASES.values()]
    for page in sorted(Path("docs").rglob("*.md")):
        lines = [line for line in page.read_text().splitlines() if len(line) > 40]  # noqa: PLR2004 - prose
        texts[0].extend(lines)
    return texts


def _turn(chance: random.Random, sentences: list[str], at: datetime) -> Conversation:
    ids = [MessageId(f"msg_{chance.getrandbits(64):016x}") for _ in range(2)]
    turn_id = TurnId(f"{chance.getrandbits(128):032x}")
    opening = NewTurn(turn_id=turn_id, reply_id=ids[0], at=at)
    empty = evolve(new_conversation(SessionId("-"), locale=chance.choice(tuple(PHRASES)), at=at))
    asked = add_user_message(
        empty, opening, ids[1], (TextPart(" ".join(chance.sample(sentences, 2))),)
    )
    reply = [TextPiece(" ".join(chance.sample(sentences, 4)))]
    end = at + timedelta(seconds=chance.uniform(1, 9))
    return finish(asked, opening.turn_id, reply, end, reason=FinishReason.STOP)


def _samples() -> Iterator[bytes]:
    chance = random.Random(1)  # noqa: S311 - the same dictionary every time
    texts = _texts()
    weights = [6, 3, 2, 2, 1, 1, 1]
    for number in range(_SAMPLES):
        sentences = chance.choices(texts, weights)[0]
        turn = _turn(chance, sentences, _BEGIN + timedelta(minutes=number))
        yield encode_frame(turn.messages, head=turn)[2:]


def main() -> None:
    """Train and write."""
    packing._WORTH_COMPRESSING = 10**9  # type: ignore[misc]  # noqa: SLF001 - samples are plain
    trained = zstandard.train_dictionary(SIZE, list(_samples()), level=packing.LEVEL)
    TARGET.write_bytes(trained.as_bytes())


if __name__ == "__main__":
    main()
