"""Where the installed ``nanoBragg`` begins: an interrupt during the imports ends it like any other program."""

import signal
import sys


def main() -> int:
    """Import and run the command; what it says of itself needs next to nothing of it."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nanobragg.cli.nanobragg.introduction import WORDS, introduced

    if WORDS.intersection(sys.argv[1:]):
        return introduced(sys.argv[1:])
    from nanobragg.cli.nanobragg.command import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
