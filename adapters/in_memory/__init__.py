"""Storage in this process's memory: for development, and the reference for each contract."""
