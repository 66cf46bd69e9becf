"""A verb that needs a port gets it from the running agent, where that has it."""

from collections.abc import Awaitable, Callable

from edge_agent.cli.say import say
from edge_agent.text.language import tr


async def with_port(port: str, by: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work with a port that an agent may have.

    Raises:
        BusError: it is lent to another program, or for too long.
    """
    from edge_agent.control.lease import borrowed  # noqa: PLC0415 - not for --help

    async with borrowed(port, f"edge-agent {by}") as bus:
        if bus:
            say(tr("the agent lends its bus {bus}; what is on it waits meanwhile", bus=bus), error=True)
        await work()
