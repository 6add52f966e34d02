"""Train the compression dictionary of ``adapters/wire_format`` and write it next to the code.

    python -m tools.train_dictionary

The samples are uncompressed frames made of the sentences in ``tools/phrases.py``, the project's
documentation and random ids, with a fixed seed. A new dictionary needs a new file with a new
number, because each record names the dictionary it was compressed with.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import zstandard

from adapters.wire_format import packing
from adapters.wire_format.conversation_record import encode_frame
from domain.model.conversation import Conversation, new_conversation
from domain.model.identifiers import MessageId, SessionId, TurnId
from domain.model.message import FinishReason, TextPart
from domain.model.piece import TextPiece
from domain.service.turn_lifecycle import NewTurn, add_user_message, finish
from tools.phrases import PHRASES

TARGET: Final = Path(packing.__file__).with_name("dictionary_0.zdict")
SIZE: Final = 16_384
_SAMPLES: Final = 4_000
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def _texts() -> list[list[str]]:
    """Sentences by language; the English ones include the documentation."""
    texts = [block.splitlines() for block in PHRASES.values()]
    for page in sorted(Path("docs").rglob("*.md")):
        lines = [line for line in page.read_text().splitlines() if len(line) > 40]  # noqa: PLR2004 - prose
        texts[0].extend(lines)
    return texts


def _turn(rng: random.Random, sentences: list[str], at: datetime) -> Conversation:
    ids = [MessageId(f"msg_{rng.getrandbits(64):016x}") for _ in range(2)]
    turn_id = TurnId(f"{rng.getrandbits(128):032x}")
    new_turn = NewTurn(turn_id=turn_id, reply_id=ids[0], at=at)
    empty = new_conversation(SessionId("-"), locale=rng.choice(tuple(PHRASES)), at=at)
    opened = add_user_message(
        empty, new_turn, ids[1], (TextPart(" ".join(rng.sample(sentences, 2))),)
    )
    reply = [TextPiece(" ".join(rng.sample(sentences, 4)))]
    end = at + timedelta(seconds=rng.uniform(1, 9))
    return finish(opened, new_turn.turn_id, reply, end, reason=FinishReason.STOP)


def _samples() -> Iterator[bytes]:
    rng = random.Random(1)  # noqa: S311 - reproducible, not secret
    texts = _texts()
    weights = [6, 3, 2, 2, 1, 1, 1]
    for number in range(_SAMPLES):
        sentences = rng.choices(texts, weights)[0]
        turn = _turn(rng, sentences, _START + timedelta(minutes=number))
        yield encode_frame(turn.messages, head=turn).packed[2:]


def main() -> None:
    """Train the dictionary and write its file."""
    packing._MIN_COMPRESSED_BYTES = 10**9  # type: ignore[misc]  # noqa: SLF001 - samples stay uncompressed
    trained = zstandard.train_dictionary(SIZE, list(_samples()), level=packing.ZSTD_LEVEL)
    TARGET.write_bytes(trained.as_bytes())


if __name__ == "__main__":
    main()
