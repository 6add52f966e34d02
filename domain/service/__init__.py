"""The decisions of the domain: pure functions over its values."""
