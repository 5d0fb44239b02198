"""The account that is kept of what the ledger acknowledged, and how it is held against the log."""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass

from ledger.config import DataDirectory
from ledger.fsck import check
from ledger.log.sequencer import root_at
from ledger.store import Store, open_store
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import decode
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.formats.policy import Policy
from ledger_verifier.formats.proof import LogProof

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a client was told: its event, the position, and the receipt."""

    event_id: str
    position: int
    receipt: str


@dataclass(frozen=True, slots=True)
class Count:
    """What came of it: acknowledged events, those lost, and those in the log more than once."""

    acknowledged: int
    lost: int
    doubled: int

    @property
    def whole(self) -> bool:
        return not self.lost and not self.doubled


def count(directory: DataDirectory, acknowledged: list[Acknowledged]) -> Count:
    """Hold every acknowledgement against the log as it is stored now. One is lost when its entry
    is not at its position, or its receipt does not verify against this log."""
    policy = directory.policy()
    with closing(open_store(directory.database)) as store:
        places: Counter[str] = Counter()
        at: dict[int, bytes] = {}
        start = 0
        while found := store.entries(start, PAGE):
            for stored in found:
                at[stored.position] = stored.raw
                places[decode(stored.raw)["id"]] += 1
            start = found[-1].position + 1
        roots = _Roots(store)
        lost = sum(not _held(item, at.get(item.position), policy, roots) for item in acknowledged)
    return Count(len(acknowledged), lost, sum(times - 1 for times in places.values()))


class _Roots:
    """Roots of this log at the sizes that receipts speak of."""

    def __init__(self, store: Store) -> None:
        head = store.head()
        self._store, self._size = store, 0 if head is None else head.size
        self._known: dict[int, bytes] = {}

    def at(self, size: int) -> bytes | None:
        if size > self._size:
            return None
        if size not in self._known:
            self._known[size] = root_at(self._store, size)
        return self._known[size]


def _held(item: Acknowledged, raw: bytes | None, policy: Policy, roots: _Roots) -> bool:
    """Whether the entry is where the client was told, under a receipt that this log bears out."""
    if raw is None or decode(raw)["id"] != item.event_id:
        return False
    try:
        proof = LogProof.parse(item.receipt)
        checkpoint = policy.open(proof.checkpoint).checkpoint
        proof.verify(leaf_hash(raw), checkpoint)
    except FormatError:
        return False
    return proof.index == item.position and roots.at(checkpoint.size) == checkpoint.root


def assert_whole(directory: DataDirectory, acknowledged: list[Acknowledged]) -> None:
    """Nothing acknowledged is lost, nothing is in the log twice, and fsck finds nothing."""
    assert count(directory, acknowledged) == Count(len(acknowledged), 0, 0)
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
