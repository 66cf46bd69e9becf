"""Suggest the name that somebody meant who wrote one that there is not."""

from collections.abc import Iterable


def did_you_mean(
    wrong: str, known: Iterable[str], otherwise: str, *, most: int = 2, cutoff: float = 0.5
) -> str:
    """Ask for the nearest of the known names; where none is near, say ``otherwise``.

    ``cutoff`` is how alike they must be, 0 to 1.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - 0.2 MB, which an agent has no use for

    near = get_close_matches(wrong, known, n=most, cutoff=cutoff)
    if not near:
        return otherwise
    return f"did you mean {' or '.join(near)}?"
