"""How programs of this machine ask the running agent: over a Unix socket, a JSON object per line."""
