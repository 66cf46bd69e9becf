"""All checks, in the order in which a person would put things right."""

from collections.abc import Iterator
from pathlib import Path

from edge_agent.doctor import broker, buses, configuration, machine, packages, running
from edge_agent.doctor.finding import Finding
from edge_agent.doctor.user import agents_user
from edge_agent.settings.error import SettingsError
from edge_agent.settings.load import load_what_runs


def examine(file: Path, *, online: bool = True) -> Iterator[Finding]:
    """Look at everything that an agent with this configuration needs. ``online``: visit the brokers, too."""
    yield from machine.software()
    yield from packages.packages()
    try:
        loaded = load_what_runs(file)
    except SettingsError as error:
        yield from configuration.problems(error.problems)
        return
    config, user = loaded.config, agents_user()
    yield from configuration.problems(loaded.left_out)
    yield from configuration.whole(file, loaded, user)
    agent = running.agent(config)
    yield from agent.findings
    yield from machine.clock(config)
    yield from machine.disk(config, user)
    yield from buses.buses(config, user, agent)
    if online:
        yield from broker.brokers(config)
