"""Where a broker is, and how to get in."""

from dataclasses import dataclass, field
from shlex import quote
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Login:
    """A broker's address and who may use it. No username: it takes anybody.

    ``generated``: the password is the demo's own, for this broker alone, and may be shown.
    """

    url: str
    username: str
    password: str = field(repr=False)
    generated: bool = False

    @property
    def host(self) -> str:
        """The host, without the brackets of IPv6."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The TCP port."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def watch_command(self, topics: str) -> str:
        """Return the command line by which a person sees what arrives; "..." is for a password of theirs."""
        user = f" -u {quote(self.username)}" if self.username else ""
        if user and self.password:
            user += f" -P {quote(self.password) if self.generated else '...'}"
        tls = " --tls-use-os-certs" if self.url.startswith("mqtts:") else ""
        return f"mosquitto_sub -h {self.host} -p {self.port}{user}{tls} -v -t {quote(topics)}"
