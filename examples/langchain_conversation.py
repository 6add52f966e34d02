"""LangChain with a conversation that Privity stores.

    pip install langchain-openai
    export PRIVITY_URL=http://127.0.0.1:8000 PRIVITY_CLIENT_KEY=...
    python langchain_conversation.py

PRIVITY_CLIENT_KEY is a client key from `privity new-client-key`. Only the newest message is
sent; the earlier ones come from Privity.
"""

import os

from langchain_openai import ChatOpenAI
from openai import OpenAI

url, key = os.environ["PRIVITY_URL"] + "/v1", os.environ["PRIVITY_CLIENT_KEY"]
openai = OpenAI(base_url=url, api_key=key)
model = ChatOpenAI(
    base_url=url, api_key=key, model=openai.models.list().data[0].id, use_responses_api=True
)

conversation = openai.conversations.create()
for question in ("My favourite colour is teal.", "What did I tell you?"):
    for chunk in model.stream(question, conversation=conversation.id):
        print(chunk.text, end="", flush=True)
    print()
openai.conversations.delete(conversation.id)
