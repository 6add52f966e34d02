"""How the service connects to the servers of the operator: TLS, HTTP proxies, and failures."""
