"""Conversations and turn logs in Redis, as sealed frames over one connection."""
