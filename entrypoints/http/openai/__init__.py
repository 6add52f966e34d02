"""OpenAI's Conversations and Responses APIs under ``/v1``. See docs/openai_clients.md."""
