"""The values of the domain."""
