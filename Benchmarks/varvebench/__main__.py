"""`python3 -m varvebench`: see `cli.py` for the parameters."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
