"""A hook for Privity: passages from a folder of Markdown, a prepared greeting, and two phases.

PRIVITY_HOOK_SECRET_FILE=hook-secret uvicorn --app-dir examples/rag_hook hook:app --port 8010
"""

import os
import re
import sqlite3
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PASSAGES = Path(__file__).parent / "passages"
SITE = "https://www.example.org/election/"
GREETINGS = {"hello", "hi", "good morning", "hallo", "guten tag"}
GREETING = "Hello! Ask me about the council election in Seedorf, or say “compare”."
INSTRUCTIONS = {
    "questions": "Answer from the passages only, and name them as [1], [2] and so on.",
    "comparing": "Compare the candidates in a table, from the passages only. Take no side.",
}


def index_of(folder: Path) -> sqlite3.Connection:
    """A full-text index in memory: one passage for each section of each file."""
    index = sqlite3.connect(":memory:", check_same_thread=False)
    index.execute(
        "CREATE VIRTUAL TABLE passages USING fts5"
        "(title, text, page UNINDEXED, tokenize = 'porter unicode61')"
    )
    for file in sorted(folder.glob("*.md")):
        for section in re.split(r"^#+ ", file.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            title, _, text = section.partition("\n")
            row = (title.strip(), text.strip(), file.stem)
            index.execute("INSERT INTO passages VALUES (?, ?, ?)", row)
    return index


INDEX = index_of(PASSAGES)


def search(words: str, limit: int = 3) -> list[dict[str, str]]:
    """The best passages. Each word is a search term; quotation marks keep it from being syntax."""
    terms = " OR ".join(f'"{word}"' for word in re.findall(r"\w{3,}", words))
    if not terms:
        return []
    found = INDEX.execute(
        "SELECT title, text, page FROM passages WHERE passages MATCH ? "
        "ORDER BY bm25(passages, 2.0, 1.0) LIMIT ?",
        (terms, limit),
    )
    return [{"title": title, "text": text, "url": SITE + page} for title, text, page in found]


def prepared(question: dict) -> dict:
    """What the turn needs. The state remembers the phase."""
    text = question["message"]["text"]
    words = text.strip(" .!?").lower()
    if words in GREETINGS:
        return {"reply": GREETING}
    phase = (question["state"] or {}).get("phase", "questions")
    if words == "compare":
        phase = "comparing"
    elif words == "back":
        phase = "questions"
    return {
        "instructions": INSTRUCTIONS[phase],
        "passages": search("candidate" if phase == "comparing" else text),
        "state": {"phase": phase},
    }


def secret() -> str:
    """The secret, which Privity has as well: from a file, or from the environment."""
    file = os.environ.get("PRIVITY_HOOK_SECRET_FILE")
    return Path(file).read_text().strip() if file else os.environ["PRIVITY_HOOK_SECRET"]


async def prepare(request: Request) -> Response:
    """Verify the signature, then answer."""
    body = await request.body()
    try:
        question = Webhook(secret()).verify(body, dict(request.headers))
    except WebhookVerificationError:
        return Response(status_code=401)
    return JSONResponse(prepared(question))


app = Starlette(routes=[Route("/prepare", prepare, methods=["POST"])])
