"""The shape of agent.toml. ``config/agent.toml`` shows every key of it with its meaning.

In the file durations and sizes carry units; here durations are seconds and sizes are bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge_agent.settings.console import Console
from edge_agent.settings.device import Bus, Device
from edge_agent.settings.field_types import (
    Count,
    Duration,
    Id,
    OutboxFile,
    Size,
    Text,
    Timezone,
)
from edge_agent.settings.listen_address import Listen, is_local
from edge_agent.settings.table import Table
from edge_agent.settings.units import Within
from edge_agent.settings.uplink import Uplink


class Gateway(Table):
    """Who this agent is. ``timezone`` is for people only."""

    site: Id
    id: Id
    name: Text = ""
    timezone: Timezone = "UTC"


class Outbox(Table):
    """How readings are kept. ``memory`` counts readings."""

    path: OutboxFile = Path("/var/lib/edge-agent/outbox.db")
    window: Annotated[Duration, AfterValidator(Within(0.05, 60, '"50ms" to "1m"'))] = 1.0
    max_size: Annotated[Size, AfterValidator(Within(1e6, 1e13, '"1MB" to "10000GB"'))] = 512_000_000
    replay: Duration = 7 * 86_400.0
    memory: Annotated[Count, AfterValidator(Within(1, 1e6, '"1 reading" to "1000000 readings"'))] = 20_000


class Clock(Table):
    """What the wall clock is trusted for, and how long readings wait for it."""

    trust: Literal["kernel", "rtc", "always"] = "kernel"
    wait: Duration = 120.0


class Metrics(Table):
    """Where Prometheus may ask. Anybody who reaches the place may; ``public``: also from other machines."""

    listen: Listen = ""
    public: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.listen and not is_local(self.listen) and not self.public:
            raise ValueError(
                "listens to other machines, and anybody there may read all metrics; "
                'add public = true, or write "127.0.0.1:9464"'
            )
        return self


class Log(Table):
    """What the agent says about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Table):
    """All of agent.toml. ``config`` is the version of its shape."""

    config: Literal[1]
    gateway: Gateway
    outbox: Outbox = Outbox()
    clock: Clock = Clock()
    uplink: Annotated[Mapping[Id, Uplink], Field(max_length=8)] = Field(default_factory=dict)
    bus: Annotated[Mapping[Id, Bus], Field(max_length=100)] = Field(default_factory=dict)
    device: Annotated[Mapping[Id, Device], Field(max_length=500)] = Field(default_factory=dict)
    metrics: Metrics = Metrics()
    log: Log = Log()
    console: Console = Console()

    @field_validator("uplink")
    @classmethod
    def _named(cls, uplinks: Mapping[str, Uplink], seen: ValidationInfo) -> Mapping[str, Uplink]:
        gateway = seen.data.get("gateway")
        if gateway is None:  # it has a problem of its own, and the configuration will not be used
            return uplinks
        owners: dict[tuple[object, str], str] = {}
        for name, uplink in uplinks.items():
            for server in uplink.servers:
                owner = owners.setdefault((server, uplink.root), name)
                if owner != name:
                    raise ValueError(
                        f"sends to {server} twice under {uplink.root!r}, as {owner} and as {name}; "
                        "give one of them another root"
                    )
        if len(asking := [name for name, uplink in uplinks.items() if uplink.commands]) > 1:
            raise ValueError(
                f"takes commands at {' and at '.join(asking)}; "
                "leave them to one uplink, and write commands = false at the others"
            )
        return {
            name: uplink.model_copy(
                update={"client_id": uplink.client_id or f"{gateway.site}-{gateway.id}-{name}"}
            )
            for name, uplink in uplinks.items()
        }
