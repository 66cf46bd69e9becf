"""What stops the demo, in words for the person who started it."""


class DemoError(Exception):
    """The demo cannot run. The message names what is missing or in the way, and the remedy."""
