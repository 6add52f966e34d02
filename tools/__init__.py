"""Tools that generate files of this repository; not part of the service."""
