"""The operators' page of the demo: where it is, and who may log in."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from edge_agent.demo.free_port import free_port

_USUAL = 8080


@dataclass(frozen=True, slots=True)
class OperatorsPage:
    """Where it is, as ``host:port``, and the password of its user ``admin``. ``listen`` "": there is none."""

    listen: str = ""
    password: str = ""

    def __str__(self) -> str:
        if not self.listen:
            return "none; pip install 'smartpark-edge-agent[console]' brings it"
        return f"http://{self.listen}  (user admin, password {self.password})"


def prepare(outbox: Path) -> OperatorsPage:
    """Choose a port and a password, and let the user ``admin`` in with it."""
    try:
        from edge_agent.console import users  # noqa: PLC0415 - an extra, which need not be installed
    except ModuleNotFoundError:
        return OperatorsPage()
    password = secrets.token_hex(6)
    users.set_password(users.place(outbox), "admin", password, "operator")
    return OperatorsPage(f"127.0.0.1:{free_port(_USUAL)}", password)
