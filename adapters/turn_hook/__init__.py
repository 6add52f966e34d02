"""The operator's hook over HTTP."""
