"""A conversation through OpenAI's own Python package: ``python examples/openai_python.py``.

It needs ``pip install openai`` and a Privity that runs: ``privity serve``, or another one named in
``PRIVITY_URL``. ``PRIVITY_CLIENT_KEY`` holds the key of the person to act for; without it the
example asks for a new one, and what is said can be read again by nobody once it has ended.
"""

import json
import os
import urllib.request

from openai import OpenAI

URL = os.environ.get("PRIVITY_URL", "http://127.0.0.1:8000")


def new_client_key() -> str:
    """An app server does this once for each person it serves, and keeps the key with them."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{URL}/api/client-key", b"{}", headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["clientKey"])


client = OpenAI(
    base_url=f"{URL}/v1", api_key=os.environ.get("PRIVITY_CLIENT_KEY") or new_client_key()
)
[model] = client.models.list().data

# The server keeps the conversation: only what is new is sent.
conversation = client.conversations.create(metadata={"topic": "colours"})
for said in ("My favourite colour is teal.", "What did I tell you?"):
    print(f"> {said}")
    with client.responses.stream(
        model=model.id, input=said, conversation=conversation.id
    ) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
        response = stream.get_final_response()
    print(f"\n({response.id})\n")

items = client.conversations.items.list(conversation.id, order="asc")
print(f"{len(list(items))} items are kept, for 24 hours, or until now:")
print(client.conversations.delete(conversation.id).deleted)
