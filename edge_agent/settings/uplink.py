"""The tables of agent.toml about uplinks, the connections to brokers."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from edge_agent.settings.field_types import (
    Alpn,
    CommandNames,
    Duration,
    HostName,
    Id,
    OneServer,
    Packet,
    Password,
    ReadableFile,
    Text,
    TopicFilter,
    TopicRoot,
    Wildcards,
)
from edge_agent.settings.table import Table
from edge_agent.settings.units import Within


class Send(Table):
    """What an uplink sends: readings of which devices, with which channels, and how.

    ``devices`` and ``channels`` are patterns, ``labels`` must all match. Live readings wait for ``batch``
    seconds, so that messages are fewer and larger. ``gzip`` packs what is sent on ``history/``.
    """

    devices: Annotated[Wildcards, Field(min_length=1)] = ("*",)
    without: Wildcards = ()
    labels: Annotated[Mapping[Id, Text], Field(max_length=32)] = Field(default_factory=dict)
    channels: Annotated[Wildcards, Field(min_length=1)] = ("*",)
    without_channels: Wildcards = ()
    batch: Annotated[Duration, AfterValidator(Within(0, 3600, '"0s" to "1h"'))] = 0.0
    gzip: bool = False

    @property
    def selects_all(self) -> bool:
        """Whether all devices are chosen, with all of their channels."""
        chosen = self.devices == self.channels == ("*",)
        return chosen and not (self.without or self.labels or self.without_channels)


class Uplink(Table):
    """One connection to a broker. In a loaded configuration ``client_id`` is never empty.

    A backlog begins to flow after a random part of ``spread``, so that gateways do not all come at once.
    ``begin``, in the file ``from``, says what an uplink gets first that was not there before. ``commands``
    are the names of those that it takes; ``reply_to`` where answers may go beside the own ``reply/#``.
    ``hold_without_subscriber``: what the broker has nobody to give to is not sent, and waits.
    ``server_name`` is what the broker's certificate must be for, where that is not what ``servers`` says.
    ``dialects`` are what else is told, beside the own topics.
    """

    servers: Annotated[tuple[OneServer, ...], Field(min_length=1, max_length=10)]
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    root: TopicRoot = "park/v1"
    username: Annotated[str, Field(min_length=1)] | None = None
    password: Password | None = None
    ca: ReadableFile | None = None
    cert: ReadableFile | None = None
    key: ReadableFile | None = None
    server_name: HostName | None = None
    alpn: Annotated[tuple[Alpn, ...], Field(max_length=10)] = ()
    client_id: Annotated[str, Field(max_length=200)] = ""
    ack_timeout: Annotated[Duration, AfterValidator(Within(1, 3600, '"1s" to "1h"'))] = 20.0
    keepalive: Annotated[Duration, AfterValidator(Within(5, 3600, '"5s" to "1h"'))] = 30.0
    spread: Annotated[Duration, AfterValidator(Within(0, 3600, '"0s" to "1h"'))] = 30.0
    max_packet: Packet | None = None
    send: Send = Send()
    begin: Literal["now", "oldest"] = Field("now", alias="from")
    dialects: Annotated[tuple[Literal["homeassistant"], ...], Field(max_length=1)] = ()
    discovery_prefix: TopicRoot = "homeassistant"
    commands: CommandNames = ()
    reply_to: Annotated[tuple[TopicFilter, ...], Field(max_length=20)] = ()
    hold_without_subscriber: bool = False

    @property
    def discovery(self) -> str:
        """The prefix of Home Assistant's discovery topics; "" if they are not published."""
        return self.discovery_prefix if "homeassistant" in self.dialects else ""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.reply_to and not self.commands:
            raise ValueError("has reply_to, which is for commands; add commands = true, or remove it")
        if self.protocol == "3.1.1" and (self.send.gzip or self.hold_without_subscriber):
            named = "send.gzip" if self.send.gzip else "hold_without_subscriber"
            raise ValueError(f'has {named}, which needs MQTT 5; remove it, or protocol = "3.1.1"')
        if self.password is not None and self.username is None:
            raise ValueError("has a password without a username; add username =")
        if self.key is not None and self.cert is None:
            raise ValueError("has a key without a certificate; add cert =")
        secured = self.ca or self.cert or self.server_name or self.alpn
        if secured and not any(server.tls for server in self.servers):
            raise ValueError("has what is for TLS but no server with TLS; write mqtts:// in servers")
        return self
