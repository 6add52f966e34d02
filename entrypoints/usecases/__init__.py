"""What a caller can do, independent of any framework."""
