"""`python -m ledger_verifier` is `ledger-verify`."""

import sys

from ledger_verifier.cli import main

if __name__ == "__main__":
    sys.exit(main())
