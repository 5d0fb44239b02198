"""Queries: who reads entries of many streams is itself recorded, before an entry is returned.

Guarantees: an entry returned by the feed, by an entry bundle, or to a machine that reads entries
one by one is covered by a `ledger.queried` that was committed before, in the access stream of the
ledger's own stream: same credential, person, route and purpose, at most an hour earlier, from that
position or an earlier one. One entry an hour, and not one a page, because a reader that follows the
log would otherwise write as much as it reads. If it cannot be recorded, nothing is read. Follows
DPA 2018 s.62(1)(c), (2) and (4).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, get_args
from uuid import uuid4

from ledger.access import Credential
from ledger.catalogue import CATALOGUE
from ledger.catalogue.access import LogPurpose
from ledger.errors import FieldError, PurposeRequired
from ledger.intake import Draft, split
from ledger.log.clock import instant
from ledger.recording import Recorder
from ledger.submission import Submission
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import CENTRAL_HUB, SERVICE_CODE, StreamRef

QUERIED: Final = "ledger.queried"
FEED: Final = "feed"
ENTRY: Final = "entry"
ENTRY_BUNDLES: Final = "entry-bundles"
LOG_PURPOSES: Final = frozenset(get_args(LogPurpose))
#: Seconds that one recorded query stands for.
WINDOW_SECONDS: Final = 3600.0
#: Queries remembered at a time; older ones are then recorded again.
MAX_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Query:
    """Who reads entries, how, and what for."""

    credential: str
    actor: str | None
    route: str
    purpose: str | None


class Queries:
    """Records queries of one ledger. One per event loop."""

    def __init__(
        self,
        recorder: Recorder,
        stream_id: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recorder, self._stream_id, self._clock = recorder, stream_id, clock
        self._known: dict[Query, tuple[int, float]] = {}
        self._recording = asyncio.Lock()

    def covers(
        self,
        credential: Credential,
        route: str,
        position: int,
        *,
        actor: str | None,
        purpose: str | None,
    ) -> bool:
        """Whether a query that covers this position is committed: what is read from now on is read
        after it."""
        return self._covers(Query(credential.public_id, actor, route, purpose), position)

    async def cover(
        self,
        credential: Credential,
        route: str,
        position: int,
        *,
        actor: str | None,
        purpose: str | None,
    ) -> None:
        """Return once a query that covers this position is committed; raises PurposeRequired for a
        purpose that is none of section 62(4), and what recording raises."""
        if purpose is not None and purpose not in LOG_PURPOSES:
            raise PurposeRequired(
                "The log is read for a purpose of section 62(4): "
                f"{', '.join(sorted(LOG_PURPOSES))}. Name one of them in the header "
                "Purpose-Of-Use, or leave the header out.",
                [FieldError("Purpose-Of-Use", "is not one of the log purposes")],
            )
        query = Query(credential.public_id, actor, route, purpose)
        if self._covers(query, position):
            return
        # What many requests begin together is recorded once.
        async with self._recording:
            if self._covers(query, position):
                return
            began = self._clock()
            stream_id = await asyncio.to_thread(self._stream_id)
            await self._recorder.record_for_service(
                _queried(credential, query, stream_id, position)
            )
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[query] = (position, began)

    def _covers(self, query: Query, position: int) -> bool:
        known = self._known.get(query)
        if known is None:
            return False
        first, began = known
        return first <= position and self._clock() < began + WINDOW_SECONDS


def _queried(credential: Credential, query: Query, stream_id: str, position: int) -> Draft:
    submission = Submission(
        id=str(uuid4()),
        source=SERVICE_CODE,
        type=QUERIED,
        schema=None,
        stream=StreamRef("access", stream_id),
        time=instant(time.time()),
        hub=CENTRAL_HUB,
        organisation=credential.organisation or SERVICE_CODE,
        actor=query.actor,
        regime=None,
        expected_version=None,
        data={
            "route": query.route,
            "log_purpose": query.purpose,
            "from_position": position,
        },
    )
    event_type = CATALOGUE.get(QUERIED, None)
    assert event_type is not None
    return split(credential, submission, event_type)


def ledger_stream(first: bytes | None) -> str:
    """Id of the ledger stream, from the bytes of entry 0."""
    assert first is not None
    return str(entries.decode(first)["stream"]["id"])
