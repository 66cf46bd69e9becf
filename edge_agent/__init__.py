"""A park gateway's agent: hear sensors, keep every reading, forward it to the city backbone."""

__version__ = "0.1.0"
