"""The machine itself: its clock, its randomness and its tasks."""
