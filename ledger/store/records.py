"""What is stored, as values: entries, heads, sealed rows, and everything one append writes."""

from dataclasses import dataclass, field
from typing import Final

from eventsourcing.persistence import StoredEvent

from ledger_verifier.meaning.expiry import Span

SUBJECT: Final = "subject"
ATTRIBUTION: Final = "attribution"
#: The type of the entry that records an erasure.
ERASURE: Final = "erasure.executed"

EVENTS_TABLE: Final = "entries"


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """The domain event of this event store: an entry in its stream."""

    originator_id: str
    originator_version: int
    type: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The committed tree: size, root, right edge (compact range), its signed checkpoint, and the
    last `recorded_at`."""

    size: int
    root: bytes
    edge: tuple[bytes, ...]
    checkpoint: bytes
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Published:
    """The checkpoint published of a size; where there is none, the largest size below it that one
    was published of, and the smallest above."""

    checkpoint: bytes | None
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class StreamHead:
    """The last version of a stream, the link hash of that entry, the hub and organisation of its
    first entry, to which it belongs, and the ids of the keys its sealed fields are under now
    (None: none in use)."""

    version: int
    link: bytes
    hub: str
    organisation: str
    subject_key: str | None
    attribution_key: str | None


@dataclass(frozen=True, slots=True)
class SealedRow:
    """The sealed fields of one entry under one key: nonce and ciphertext of its disclosures."""

    position: int
    key_class: str
    key_id: str
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class DestroyedKey:
    """A key that the erasure at `position` names, and the stream whose fields it sealed. With
    `kept`, what that erasure leaves of the stream is sealed under the stream's next key."""

    key_id: str
    stream: str
    position: int
    kept: bool = False


@dataclass(frozen=True, slots=True)
class ErasedPart:
    """What of a stream is erased: subject fields through a version, and of some more versions."""

    through: int = 0
    versions: frozenset[int] = frozenset()

    def covers(self, version: int) -> bool:
        """Whether the subject fields of that version are erased."""
        return version <= self.through or version in self.versions


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as read back: position, stream, version, type, bytes."""

    position: int
    stream: str
    version: int
    type: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class DoomedId:
    """An entry of a stream that expires: its true source and id, its position, its tombstone."""

    source: str
    id: str
    position: int
    mark: bytes


@dataclass(frozen=True, slots=True)
class Doomed:
    """A stream that expires, at this version: whose it is, its tombstone, its entries, and the
    ids of all its keys, those that erasures destroyed before among them."""

    stream: str
    version: int
    hub: str
    organisation: str
    mark: bytes
    entries: tuple[DoomedId, ...]
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpiryPlan:
    """What one order removes. It was made of a log of `size` entries; tombstones are under the key
    of this id."""

    size: int
    mark_key: str
    doomed: tuple[Doomed, ...]

    @property
    def positions(self) -> list[int]:
        """The positions that lose their bytes."""
        return [entry.position for one in self.doomed for entry in one.entries]

    @property
    def key_ids(self) -> set[str]:
        """Ids of the keys that go with them."""
        return {key_id for one in self.doomed for key_id in one.key_ids}


@dataclass(frozen=True, slots=True)
class Expiry:
    """A plan as it is carried out: each entry that says so, by its position, with its spans."""

    plan: ExpiryPlan
    spans: tuple[tuple[int, tuple[Span, ...]], ...]

    @property
    def position(self) -> int:
        """The last of the entries that say so."""
        return self.spans[-1][0]


@dataclass(frozen=True, slots=True)
class Gone:
    """What of that which was asked for has expired: (source, id) pairs, and streams with the hub
    and organisation whose they were. `through` is the tree size after the last expiry that was
    taken into account; 0 when there was none."""

    through: int = 0
    ids: frozenset[tuple[str, str]] = frozenset()
    streams: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Append:
    """Everything one transaction writes. The sealed rows under a destroyed key go in the same
    transaction, and `resealed` ones take the place of those that are kept."""

    head: Head
    first_position: int
    entries: list[StoredEvent] = field(default_factory=list)
    cells: list[tuple[int, int, bytes]] = field(default_factory=list)
    sealed: list[SealedRow] = field(default_factory=list)
    duplicates: list[tuple[str, str, int]] = field(default_factory=list)
    stream_heads: dict[str, StreamHead] = field(default_factory=dict)
    destroyed: list[DestroyedKey] = field(default_factory=list)
    resealed: list[SealedRow] = field(default_factory=list)
    expiries: list[Expiry] = field(default_factory=list)
