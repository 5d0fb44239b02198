"""Print docs/event-types.md: `python -m ledger.catalogue > docs/event-types.md`."""

import sys

from ledger.catalogue import CATALOGUE
from ledger.catalogue.document import render

if __name__ == "__main__":
    sys.stdout.buffer.write(render(CATALOGUE.types(), CATALOGUE.service_types()).encode("utf-8"))
