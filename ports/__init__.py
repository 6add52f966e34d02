"""What the core needs from the world, one port per file. Adapters implement them structurally."""
