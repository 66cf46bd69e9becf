"""Changes of the configuration while the agent runs: edited, compared, applied, and undone."""
