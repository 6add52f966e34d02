"""A turn while its reply is being made."""

from attrs import define, field

from domain.model.conversation import Conversation
from domain.model.identifiers import Owner
from domain.model.limits import MAX_REPLY_BYTES
from domain.model.piece import ModelFinished, NumberedPiece, Piece, weight
from domain.model.turn import Turn
from domain.model.wishes import NO_WISHES, Wishes
from ports.turn_log import Writing


@define(kw_only=True)
class RunningTurn:
    """One open turn, and what came from the model so far.

    Attributes:
        conversation: as it was when the turn was opened.
        wishes: what its caller wishes for the reply.
        weight: of the pieces together, in bytes.
        logged: how many of the pieces the log has taken.
        writing: what the log answered last.
        finished: the model's last word, absent until it came.
        error: stable code of a failure, absent without one.
    """

    owner: Owner = field(repr=False)
    conversation: Conversation = field(repr=False)
    turn: Turn
    wishes: Wishes = field(default=NO_WISHES, repr=False)
    pieces: list[NumberedPiece] = field(factory=list, repr=False)
    weight: int = 0
    logged: int = 0
    writing: Writing = Writing.GO_ON
    finished: ModelFinished | None = None
    error: str | None = None

    @property
    def said(self) -> list[Piece]:
        """The pieces without their numbers."""
        return [numbered.piece for numbered in self.pieces]

    def has_room_for(self, piece: Piece) -> bool:
        """Whether the reply may grow by it."""
        return self.weight + weight(piece) <= MAX_REPLY_BYTES

    def hear(self, piece: Piece) -> None:
        """Take one more piece."""
        self.weight += weight(piece)
        self.pieces.append(NumberedPiece(len(self.pieces) + 1, piece))
