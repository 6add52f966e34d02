"""The HTTP API: what all protocols share, and one package per protocol."""
