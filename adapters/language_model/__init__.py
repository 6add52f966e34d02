"""Who writes the replies."""
