"""What a caller can do, free of any framework."""
