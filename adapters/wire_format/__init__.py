"""The stored form of conversations and turns: published formats, older versions stay readable."""
