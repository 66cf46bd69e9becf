"""Prepares two texts of the console's file for a diff that shows only what an operator changed."""

from collections.abc import Mapping

from edge_agent.settings.console_file import holds_secret, tables
from edge_agent.settings.edit import with_table
from edge_agent.settings.load import Loaded
from edge_agent.settings.overrides import REPLACES, is_override


def side_by_side(before: str, after: str, loaded: Loaded) -> tuple[str, str]:
    """Return two texts to be compared: what one of them takes over from other files stands in the other, too.

    ``loaded`` is what the files say. What holds a secret in clear is left out of both.
    """
    was, will = tables(before), tables(after)
    for place in sorted(was.keys() ^ will.keys()):
        one = was[place] if place in was else will[place]
        if not is_override(one):
            continue
        other = loaded.files.overridden.get(place)
        table = other.table if other else loaded.files.raw.get(place[0], {}).get(place[1])
        if not isinstance(table, Mapping) or holds_secret(table):
            continue
        mark = {REPLACES: one[REPLACES]}
        if place in will:
            before = with_table(before, place, {**mark, **table})
        else:
            after = with_table(after, place, {**mark, **table})
    return before, after
