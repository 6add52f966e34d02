"""What the routes work with, put together when the service starts."""

from collections.abc import Callable

from attrs import frozen
from starlette.requests import Request

from domain.model.errors import ConversationNotFound
from domain.model.identifiers import Owner
from entrypoints.http.authentication import CallerRules, Visitor
from entrypoints.http.reply_stream import ReplyStream
from entrypoints.usecases.conversations import (
    FindConversation,
    ForgetConversation,
    OpenConversation,
    ReadHistory,
)
from entrypoints.usecases.follow_turn import FollowTurn
from entrypoints.usecases.regenerate import AnswerAgain
from entrypoints.usecases.send_message import SendMessage
from entrypoints.usecases.stop_turn import StopTurn
from entrypoints.usecases.submit_tool_results import AnswerTools
from ports.client_keys import ClientKeys
from ports.rate_limiter import RateLimiter
from ports.readiness import Readiness
from ports.telemetry import Telemetry


@frozen(kw_only=True)
class Services:
    """One of each.

    Attributes:
        takes_new: whether new turns are taken.
    """

    open_conversation: OpenConversation
    send_message: SendMessage
    answer_again: AnswerAgain
    answer_tools: AnswerTools
    find_conversation: FindConversation
    follow_turn: FollowTurn
    stop_turn: StopTurn
    read_history: ReadHistory
    forget_conversation: ForgetConversation
    reply_stream: ReplyStream
    callers: CallerRules
    keys: ClientKeys
    limiter: RateLimiter
    telemetry: Telemetry
    takes_new: Callable[[], bool]
    readiness: Readiness

    def owner_or_absent(self, visitor: Visitor | None) -> Owner:
        """The caller as an owner.

        Raises:
            ConversationNotFound: a stranger owns nothing.
        """
        if visitor is None:
            raise ConversationNotFound
        return visitor.owner


def services_of(request: Request) -> Services:
    """The services of the app that serves this request."""
    services: Services = request.state.services
    return services
