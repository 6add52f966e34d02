"""What the core needs from outside, one port per file. Adapters implement the protocols."""
