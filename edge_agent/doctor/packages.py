"""Where drivers and profiles come from: ours, another package's, or this site's own."""

from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import entry_points

from edge_agent import registry
from edge_agent.doctor.finding import Finding, Group
from edge_agent.driver import ProfileError, find_profiles

_OURS = "smartpark-edge-agent"


def packages() -> Iterator[Finding]:
    """Look at every installed driver, without using one."""
    group = Group("drivers")
    makers: dict[str, list[str]] = defaultdict(list)
    for point in entry_points(group=registry.GROUP):
        makers[point.name].append(point.dist.name if point.dist else "unknown package")
    for name, origins in makers.items():
        if len(set(origins)) > 1:
            yield group.fail(
                name, f"comes from several packages: {', '.join(sorted(set(origins)))}",
                "remove all but one of them with pip: which one is used is chance",
            )  # fmt: skip
    ours = foreign = 0
    for entry in registry.entries():
        if entry.problem:
            wrong, _, remedy = entry.problem.partition("; ")
            yield group.warn(entry.name, wrong, remedy)
        elif entry.origin.startswith(f"{_OURS} "):
            ours += 1
        else:
            foreign += 1
            yield group.ok(entry.name, f"comes from {entry.origin}")
        yield from _profiles(group, entry)
    yield group.ok("packages", f"{ours} drivers of our own, {foreign} of others")


def _profiles(group: Group, entry: registry.Entry) -> Iterator[Finding]:
    try:
        found = find_profiles(entry.name)
    except (ProfileError, OSError) as error:
        yield group.of_error("WARN", f"{entry.name}: profiles", error)
        return
    for name, file in found.items():
        if file.replaces:
            yield group.warn(
                f"{entry.name}: {name}", f"{file.path} stands in for the built-in profile",
                "remove the file if the built-in one is right",
            )  # fmt: skip
        elif file.own:
            yield group.ok(f"{entry.name}: {name}", f"is this site's own: {file.path}")
