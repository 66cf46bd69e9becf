"""Keep every reading on disk before anything else happens to it; forget it only when it is settled."""
