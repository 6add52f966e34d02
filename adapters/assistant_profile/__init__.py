"""Sources of the assistant's profile."""
