"""A port of this machine that nobody listens at."""

import random
import socket

from edge_agent.demo.broken import DemoError

_STAY_FREE = range(20_000, 32_000)  # those from 32768 on are given to connections while a broker is away
_TRIES = 100


def free_port(wanted: int) -> int:
    """Return the wanted port, or where another program has it (or it is 0) one that is free, and stays so.

    Raises:
        DemoError: there is none.
    """
    for port in (*([wanted] if wanted else []), *random.sample(_STAY_FREE, _TRIES)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError("no free port on 127.0.0.1; end some programs that listen there")
