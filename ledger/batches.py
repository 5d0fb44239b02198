"""Monthly batches: when an auditor sees what was recorded about the few people of a small hub.

Guarantees: pure but for the count it is given. Through the feed, an auditor is given an entry about
a person of a hub with fewer than `FEW` live cases only once the month it was recorded in (UTC) is
over: on the day itself, hub, type and day would stand for one child. The feed ends before the first
entry that waits, so that whoever follows it misses none. Everybody else reads at once.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from ledger.access import Credential, Role
from ledger.catalogue import CATALOGUE

#: Live cases from which on a hub's entries are given out as they are recorded.
FEW: Final = 10
#: Kinds of stream that tell of a hub's people.
_OF_PEOPLE: Final = frozenset({"case", "party"})


class Batches:
    """What waits for the end of the month, for one page of the feed."""

    def __init__(
        self,
        credential: Credential,
        types: Collection[str] | None,
        now: str,
        live_cases: Callable[[], Mapping[str, int]],
    ) -> None:
        """`types` are those that are asked for, or None; `now` is an instant; `live_cases` counts
        those of each hub, and is asked once at most. Where one that may be about a person is asked
        for, what is passed over waits as well: where the feed ends must not tell types apart."""
        self._applies = credential.role is Role.AUDITOR and (
            types is None or any(map(_may_be_about_a_person, types))
        )
        self._month = now[:7]
        self._live_cases = live_cases
        self._busy: Collection[str] | None = None

    def waits(self, entry: Mapping[str, Any], hub: str) -> bool:
        """Whether a decoded entry of a stream of this hub is not given out yet."""
        if not self._applies or entry["stream"]["kind"] not in _OF_PEOPLE:
            return False
        if entry["recorded_at"][:7] < self._month:
            return False
        if self._busy is None:
            counted = self._live_cases().items()
            self._busy = {name for name, count in counted if count >= FEW}
        return hub not in self._busy


def _may_be_about_a_person(type_name: str) -> bool:
    event_type = CATALOGUE.get(type_name)
    return event_type is not None and bool(_OF_PEOPLE.intersection(event_type.stream_kinds))
