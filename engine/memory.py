"""How much memory there is, asked before much is allocated."""

SMALL = 100_000_000  # bytes that no machine is asked for


def available() -> int:
    """Bytes that the machine can still give."""
    import psutil  # small images do without

    return int(psutil.virtual_memory().available)


def lacks(needed: float) -> bool:
    """Whether the machine cannot give so many bytes."""
    return needed > SMALL and needed > available()
