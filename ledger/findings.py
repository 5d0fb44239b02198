"""Findings on the ledger as a whole: whether its own processing is covered.

Guarantees: what `Standing.find` gives is what any verifier finds in the same entries on the same
day (`ledger_verifier.meaning.assurance`). It reads registers alone, which are about nobody, so that
to ask is not to consult anybody's record.
"""

import threading
from datetime import UTC, datetime
from typing import Any, Final

from ledger.store.base import Store
from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning.assurance import TYPES, Assurance

_PAGE: Final = 1000


class Standing:
    """What one log says of it, each entry read once. Methods block; any thread may call them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._assurance = Assurance()
        self._read = 0
        self._lock = threading.Lock()

    def find(self) -> dict[str, Any]:
        """The findings of today, of the log as it is now: its `tree_size`, the day, the items."""
        day = datetime.now(UTC).date().isoformat()
        with self._lock:
            head = self._store.head()
            size = 0 if head is None else head.size
            self._read_to(size)
            found = self._assurance.findings(day)
        return {"tree_size": size, "as_of": day, "items": [dict(one) for one in found]}

    def _read_to(self, size: int) -> None:
        while page := self._store.entries(self._read, _PAGE, TYPES):
            for stored in page:
                if stored.position >= size:
                    return
                self._assurance.learn(entries.decode(stored.raw))
                self._read = stored.position + 1
        self._read = max(self._read, size)
