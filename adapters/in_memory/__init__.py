"""Everything in this process: for development, and the reference reading of each contract."""
