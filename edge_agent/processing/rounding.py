"""Numbers as they are passed on."""


def rounded(value: float) -> float:
    """Drop the digits that binary arithmetic adds: 0.30000000000000004 was never measured."""
    return float(f"{value:.12g}")
