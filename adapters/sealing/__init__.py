"""Encryption of what is stored: master keys, client keys and the keys derived from both."""
