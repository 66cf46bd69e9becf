"""Why a connection ended, or never began, in words for a person."""

_TAKEN_OVER = 0x8E  # MQTT 5.0, 2.4: Session taken over


class SessionError(Exception):
    """The connection failed or was refused. The text says what is wrong and what to do.

    ``protocol``: it looks as if the broker did not know this MQTT version; ``certain``: it says so itself.
    ``credentials``: a person must change the login. ``clock``: it may be well once the clock is set.
    """

    def __init__(
        self,
        reason: str,
        *,
        protocol: bool = False,
        certain: bool = False,
        credentials: bool = False,
        clock: bool = False,
    ) -> None:
        super().__init__(reason)
        self.protocol, self.certain, self.credentials = protocol, certain, credentials
        self.clock = clock


def unreachable(error: Exception, server: object) -> SessionError:
    """Say why there is no connection to a server."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return SessionError(f"{server}: no connection ({reason}); check the network and the address")


def refused(name: str) -> SessionError:
    """Say what the reason of a failing CONNACK means for a person."""
    if name == "Unsupported protocol version":
        return SessionError("the broker does not speak this MQTT version", protocol=True, certain=True)
    if name in {"Bad user name or password", "Not authorized"}:
        return SessionError(
            f"the broker refuses the login ({name}); check username and password", credentials=True
        )
    if name == "Client identifier not valid":
        return SessionError("the broker refuses the client id; set client_id", credentials=True)
    return SessionError(f"the broker refuses the connection ({name})")


def closed(reason: tuple[int, str] | None, client_id: str) -> str:
    """Say why a broker closed the connection; it gave the code and name of a ``reason``, or none."""
    if reason is None:
        return "the broker closed the connection"
    code, name = reason
    if code == _TAKEN_OVER:
        return (
            f"another client uses client id {client_id!r}, and the broker lets the newest in; "
            "give each gateway its own gateway.id, or set client_id"
        )
    return f"the broker closed the connection: {name}"
