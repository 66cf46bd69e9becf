"""``edge-agent doctor``: whether everything that the agent needs is as it should be."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import CONFIG, ConfigFile
from edge_agent.cli.say import say, tell
from edge_agent.text.language import tr
from edge_agent.text.translation import translated

if TYPE_CHECKING:
    from edge_agent.doctor.finding import Finding


def doctor(
    config: ConfigFile = CONFIG,
    *,
    offline: Annotated[bool, typer.Option("--offline", help=tr("Do not connect to the brokers."))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=tr("For programs."))] = False,
) -> None:
    """Check machine, configuration, ports, brokers, certificates and rights, and show what to do.

    It changes nothing, and leaves a running agent alone: at a broker it has a name of its own, and writes
    nothing that is retained. Run it as root or as the agent's user. Ends with 1 if anything is FAIL, else 0.

    Example: edge-agent doctor --config agent.toml
    """
    from edge_agent.doctor.examine import examine  # noqa: PLC0415 - `edge-agent --help` need not wait for it

    found: list[Finding] = []
    group = ""
    for finding in examine(config, online=not offline):
        found.append(finding)
        if as_json:
            continue
        if finding.group != group:
            group = finding.group
            say(translated(group))
        say(f"  {finding.level:4}  {translated(finding.what)}: {translated(finding.says)}", filled=True)
        if finding.remedy:
            say(f"        -> {translated(finding.remedy)}", filled=True)
    counts = Counter(finding.level for finding in found)
    if as_json:
        tell({"ok": not counts["FAIL"], "findings": [asdict(finding) for finding in found]})
    else:
        say(f"{counts['OK']} OK, {counts['WARN']} WARN, {counts['FAIL']} FAIL")
    raise typer.Exit(1 if counts["FAIL"] else 0)
