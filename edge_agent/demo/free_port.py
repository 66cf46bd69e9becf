"""A port of this machine that nobody listens at."""

import socket

from edge_agent.demo.broken import DemoError


def free_port(wanted: int) -> int:
    """Return the wanted port, or where another program has it any that is free.

    Raises:
        DemoError: there is none.
    """
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1; end some programs that listen there")
