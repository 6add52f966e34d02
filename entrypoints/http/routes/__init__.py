"""The routes, one file a client protocol."""
