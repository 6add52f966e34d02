"""The ways into the application: HTTP, the command line, and the use cases that they call."""
