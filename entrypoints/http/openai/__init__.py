"""OpenAI's conversations and responses, spoken at the edge only. See docs/openai_clients.md."""
