"""Language models: OpenAI-compatible servers and the built-in script."""
