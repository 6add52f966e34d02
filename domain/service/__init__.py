"""The rules of the domain: pure functions over its values."""
