"""Where the assistant's profile is read from."""
