"""What a conversation is and how it may change: values and pure functions, without I/O."""
