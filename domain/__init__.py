"""What a conversation is and what may happen to it: values and decisions, nothing that waits."""
