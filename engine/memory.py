"""How much memory there is, asked before much is allocated."""

import sys


def available() -> int:
    """Bytes that the machine can still give, or a very large number where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return sys.maxsize
