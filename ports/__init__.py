"""What the core needs from the world, one need a file. Adapters fulfil these; nobody inherits."""
