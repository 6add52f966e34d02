"""What the AI SDK's ``useChat`` sends and expects; see docs/clients.md."""
