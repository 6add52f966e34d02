"""Keys: the operator's, the clients', and what is derived from both."""
