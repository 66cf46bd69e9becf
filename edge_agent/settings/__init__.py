"""What agent.toml says: its model, how it is read, and errors that name file, line, key and remedy."""
