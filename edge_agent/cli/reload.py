"""``edge-agent reload``: have the running agent go on with what the configuration says now."""

import os
from typing import Annotated, Any

import typer

from edge_agent.cli.say import say, tell
from edge_agent.cli.status import Socket
from edge_agent.cli.verb_exit import INTERRUPTED, stop, until_stopped
from edge_agent.text.language import tr
from edge_agent.text.translation import translated

_WITHIN_S = 120.0  # on a small board, with 500 devices, behind another reload


def reload(
    *,
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
    socket: Socket = None,
) -> None:
    """Apply a changed configuration without a restart, and show what changed, or what is wrong with it.

    If anything is wrong nothing changes, and the agent continues as before. Ends with 0, with 78 when the
    configuration cannot be used, 2 when no agent can be asked.

    Example: sudo edge-agent reload
    """
    from edge_agent.control.client import NoAgentError, ask  # noqa: PLC0415 - not for --help
    from edge_agent.control.protocol import RefusedError  # noqa: PLC0415 - as above

    told: dict[str, Any] = {}

    async def work() -> None:
        told.update(await ask("reload", at=socket, within=_WITHIN_S))

    try:
        ended = until_stopped(work())
    except (NoAgentError, RefusedError) as error:
        stop(str(error), as_json=as_json)
    if not ended or not told:
        raise typer.Exit(INTERRUPTED)
    if as_json:
        tell(told)
    else:
        for problem in told["problems"]:
            say(tr("not reloaded: {problem}", problem=translated(problem)), error=True, filled=True)
        for problem in told["left_out"]:
            say(
                tr("{problem}; the agent runs without this device", problem=translated(problem)),
                error=True,
                filled=True,
            )
        if not told["problems"]:
            say("\n".join(told["changes"]) or tr("nothing changed"))
    raise typer.Exit(os.EX_CONFIG if told["problems"] else 0)
