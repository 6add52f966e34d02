"""The files in ``deploy/``: with the real programs where the machine has them."""
