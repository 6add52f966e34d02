"""How the ports are fulfilled, one folder a technology."""
