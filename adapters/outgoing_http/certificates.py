"""Which certificates a connection to a server of the operator trusts."""

import os
import ssl
from pathlib import Path

from adapters.outgoing_http.server_problem import ServerProblem


def trusting(ca_file: Path | None, *, setting: str) -> ssl.SSLContext:
    """A TLS context that trusts the certificates in ``ca_file``; None: those of the system.

    Raises:
        ServerProblem: the file cannot be read, or contains no certificate. The message names the
            ``setting`` that the path comes from.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except ssl.SSLError:
        why = f"{setting}: the file contains no certificate in PEM format."
        raise ServerProblem(why) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown error"
        raise ServerProblem(f"{setting}: the file cannot be read ({reason}).") from None
