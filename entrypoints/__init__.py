"""How the world reaches the core."""
