"""Tools for working on this repository; not part of the service."""
