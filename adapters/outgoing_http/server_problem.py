"""Why the service cannot even try to connect to a server of the operator."""


class ServerProblem(Exception):
    """The certificates or the proxy cannot be used; the message is a sentence without secrets."""
