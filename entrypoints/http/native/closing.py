"""What a native client gets after the chunks of a reply; the older widget gets more than others.

The widget shows its events in a development view, which fails if one of the members is missing.
"""

from typing import Any

from domain.model.message import SourcePart
from entrypoints.http.reply_stream import StreamedReply
from entrypoints.http.sse import event


def native_closing(reply: StreamedReply) -> bytes:
    """``metadata-info``."""
    info = {"cost": reply.cost, "latency": _milliseconds(reply.latency.total_seconds())}
    return _metadata_info(info, reply)


def widget_closing(reply: StreamedReply) -> bytes:
    """``rag-contexts`` if the reply has sources, and ``metadata-info`` as the widget expects it."""
    contexts = event({"contexts": [_context(reply)]}, name="rag-contexts") if reply.sources else b""
    first, whole = reply.to_first_piece.total_seconds(), reply.latency.total_seconds()
    latency = {
        "retrievalDuration": 0,
        "timeToFirstToken": _milliseconds(first),
        "messageTime": _milliseconds(whole - first),
        "totalTime": _milliseconds(whole),
    }
    return contexts + _metadata_info({"cost": _cost(reply.cost), "latency": latency}, reply)


def _metadata_info(info: dict[str, Any], reply: StreamedReply) -> bytes:
    return event({**info, "timestamp": _milliseconds(reply.ended_at)}, name="metadata-info")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _cost(total: float | None) -> dict[str, Any] | None:
    if total is None:
        return None
    nothing = {"input": 0, "output": 0, "total": 0}
    model = {**nothing, "total": total}
    return {"llm": model, "filtering": nothing, "reranking": {"cost": 0}, "total": total}


def _context(reply: StreamedReply) -> dict[str, Any]:
    """All sources as the result of one search; what we do not know is 0 or empty."""
    results = [_result(source, place) for place, source in enumerate(reply.sources)]
    return {
        "canonicalQuery": reply.question,
        "reformulatedQueries": {},
        "searchResult": {"results": results, "timestamp": _milliseconds(reply.ended_at)},
        "segmentsUsed": len(results),
        "formattedContext": "",
        "durationMs": 0,
    }


def _result(source: SourcePart, place: int) -> dict[str, Any]:
    link = {} if source.url is None else {"link": source.url}
    return {
        "segment": {
            "id": source.id,
            "documentId": source.id,
            "segmentIndex": place,
            "content": source.excerpt or "",
            "metadata": {"source": source.title, "title": source.title, **link},
        },
        "vectorSearchScore": 0,
        "distance": 0,
    }
