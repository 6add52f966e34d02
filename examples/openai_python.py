"""A conversation with OpenAI's Python package: run ``python examples/openai_python.py``.

It needs ``pip install openai`` and a running Privity: start one with ``privity serve``, or set
``PRIVITY_URL``. ``PRIVITY_CLIENT_KEY`` is a client key from ``privity new-client-key``. Without it
the example creates a key, which works if ``/v1`` is open, as it is without settings.
"""

import json
import os
import urllib.request

from openai import OpenAI

URL = os.environ.get("PRIVITY_URL", "http://127.0.0.1:8000")


def new_client_key() -> str:
    """A new client key, which is not stored."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{URL}/api/client-key", b"{}", headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["clientKey"])


client = OpenAI(
    base_url=f"{URL}/v1", api_key=os.environ.get("PRIVITY_CLIENT_KEY") or new_client_key()
)
[model] = client.models.list().data

# The server stores the conversation, so only the new input is sent.
conversation = client.conversations.create(metadata={"topic": "colours"})
for question in ("My favourite colour is teal.", "What did I tell you?"):
    print(f"> {question}")
    with client.responses.stream(
        model=model.id, input=question, conversation=conversation.id
    ) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
        response = stream.get_final_response()
    print(f"\n({response.id})\n")

items = client.conversations.items.list(conversation.id, order="asc")
print(f"{len(list(items))} items are kept for 24 hours, unless deleted now:")
print(client.conversations.delete(conversation.id).deleted)
