"""The agent's numbers for Prometheus, over HTTP."""
