"""``python -m nanobragg`` is the ``nanoBragg`` command."""

import sys

from nanobragg.cli.start import main

if __name__ == "__main__":
    sys.exit(main())
