"""``edge-agent version``."""

import platform

from edge_agent import __version__


def version() -> None:
    """Print the version.

    Example: edge-agent version
    """
    print(f"edge-agent {__version__}, Python {platform.python_version()}, {platform.machine()}")
