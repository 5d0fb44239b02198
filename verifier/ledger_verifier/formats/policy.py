"""Trust policies (c2sp.org/tlog-policy, draft): whose signatures count, and how many.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member>...
    quorum <name>|none

One log has a line for each of its keys, under one key name that is its origin: Ed25519 (0x01) and
ML-DSA-44 (0x06). A checkpoint is accepted only if the Ed25519 line verifies. Stricter than the
specification in two ways: the file must end in a newline, so that a file cut short is refused
rather than read as a weaker policy; and outside comments it must be UTF-8, since names are shown
to people.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from ledger_verifier.formats.checkpoint import OpenedCheckpoint, open_checkpoint
from ledger_verifier.formats.errors import (
    CheckpointError,
    NoteError,
    OtherLogError,
    PolicyError,
    UnsignedError,
)
from ledger_verifier.formats.note import (
    SIG_COSIGNATURE_ED25519,
    SIG_ED25519,
    SIG_MLDSA44,
    VerifierKey,
)
from ledger_verifier.formats.text import decode_decimal

MAX_POLICY = 1_000_000
"""The largest policy file accepted, in bytes."""
MAX_LINES = 256
"""The most logs, witnesses and groups accepted, of each (the specification suggests 32)."""

_NONE = "none"
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_TOKEN = re.compile(r"[^\x00-\x20\x7f]+")
_SPACES = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """One key of a log; the key's name is the log's origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness, under the name by which groups and the quorum refer to it."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """A group, which has witnessed a checkpoint when `threshold` of its members have."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The logs and witnesses that someone trusts. Groups are in order of definition.

    Constructing one raises PolicyError if it breaks a rule of the format.
    """

    logs: tuple[PolicyLog, ...] = ()
    witnesses: tuple[PolicyWitness, ...] = ()
    groups: tuple[PolicyGroup, ...] = ()
    quorum: str | None = None
    """The witness or group whose cosigning is demanded; None demands none."""

    def __post_init__(self) -> None:
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > MAX_LINES:
            raise PolicyError(f"a policy has more than {MAX_LINES} lines of one kind")
        _check_keys("log", [log.key for log in self.logs])
        _check_keys("witness", [witness.key for witness in self.witnesses])
        for witness in self.witnesses:
            if witness.key.sig_type not in (SIG_COSIGNATURE_ED25519, SIG_MLDSA44):
                raise PolicyError("a witness's key is not of a cosignature type")
        urls = [log.url for log in self.logs] + [witness.url for witness in self.witnesses]
        for url in urls:
            if url is not None and not _TOKEN.fullmatch(url):
                raise PolicyError("a URL is empty or holds a space or a control character")
        _check_names(self)

    @classmethod
    def parse(cls, raw: bytes | str) -> "Policy":
        """Parse a policy file; raises PolicyError, naming the line."""
        try:
            data = raw.encode() if isinstance(raw, str) else raw
        except UnicodeEncodeError:
            raise PolicyError("a policy is not Unicode text") from None
        if len(data) > MAX_POLICY:
            raise PolicyError(f"a policy is longer than {MAX_POLICY} bytes")
        if _FORBIDDEN.search(data):
            raise PolicyError("a policy holds a control character")
        lines = data.split(b"\n")
        if lines.pop():
            raise PolicyError("a policy does not end in a newline")
        reader = _Reader()
        for number, line in enumerate(lines, 1):
            stripped = line.strip(b" \t")
            if stripped and not stripped.startswith(b"#"):
                try:
                    reader.read(_SPACES.split(stripped.decode()))
                except UnicodeDecodeError:
                    raise PolicyError(f"policy line {number}: not UTF-8") from None
                except (PolicyError, NoteError) as error:
                    raise PolicyError(f"policy line {number}: {error}") from None
        if not reader.quorum_seen:
            raise PolicyError("a policy has no quorum line")
        return cls(tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), reader.quorum)

    def encode(self) -> bytes:
        """Return the file: logs, witnesses, groups, quorum. Comments are not kept."""
        lines: list[tuple[str, ...]] = []
        lines += (("log", log.key.vkey, log.url or "") for log in self.logs)
        lines += (("witness", w.name, w.key.vkey, w.url or "") for w in self.witnesses)
        lines += (("group", g.name, str(g.threshold), *g.members) for g in self.groups)
        lines.append(("quorum", self.quorum or _NONE))
        return "".join(" ".join(filter(None, line)) + "\n" for line in lines).encode()

    def log_keys(self, origin: str | None = None) -> tuple[VerifierKey, ...]:
        """Return the keys of the logs, or of the one log with this origin."""
        return tuple(log.key for log in self.logs if origin in (None, log.key.name))

    def witness_keys(self) -> tuple[VerifierKey, ...]:
        """Return the keys of the witnesses."""
        return tuple(witness.key for witness in self.witnesses)

    def quorum_met(self, keys: Collection[VerifierKey]) -> bool:
        """Tell whether cosignatures by `keys` meet the quorum; always true if there is none."""
        if self.quorum is None:
            return True
        witnessed = {witness.name for witness in self.witnesses if witness.key in keys}
        # A group only refers to names defined before it, so one pass in order settles them all.
        for group in self.groups:
            if sum(member in witnessed for member in group.members) >= group.threshold:
                witnessed.add(group.name)
        return self.quorum in witnessed

    def open(self, raw: bytes) -> OpenedCheckpoint:
        """Open a checkpoint of one of the logs; the quorum is for `quorum_met(opened.signers)`.

        Raises NoteError or CheckpointError if it is malformed, a line by a listed key does not
        verify, or no Ed25519 line by a log key whose name is the checkpoint's origin verifies.
        Where that is only because the policy names no log of this origin, it is OtherLogError.
        """
        names = sorted({log.key.name for log in self.logs})
        try:
            opened = open_checkpoint(raw, (*self.log_keys(), *self.witness_keys()))
        except UnsignedError as error:
            if names and error.origin not in names:
                raise OtherLogError(error.origin, names) from None
            # The log's own name over nobody's signature: that is how a forgery looks.
            raise CheckpointError(
                f"{error} of the log it names: it is forged, or the policy is not the one for this "
                "log (compare the SHA-256 of the policy with whoever gave it to you)"
            ) from None
        origin = opened.checkpoint.origin
        if origin not in names:
            raise OtherLogError(origin, names)
        wanted = {key for key in self.log_keys(origin) if key.sig_type == SIG_ED25519}
        if wanted.isdisjoint(opened.signers):
            raise CheckpointError("the checkpoint has no Ed25519 signature by its own log")
        return opened


def _check_keys(kind: str, keys: list[VerifierKey]) -> None:
    if len({key.public_key for key in keys}) != len(keys):
        raise PolicyError(f"two {kind} lines have the same public key")
    if len({(key.name, key.key_id) for key in keys}) != len(keys):
        raise PolicyError(f"two {kind} keys share a name and a key id")


def _check_names(policy: Policy) -> None:
    """Check names, thresholds and references: each defined once, before use, in one group."""
    defined: set[str] = {_NONE}
    used: set[str] = {_NONE}
    items: tuple[PolicyWitness | PolicyGroup, ...] = (*policy.witnesses, *policy.groups)
    for item in items:
        if not _TOKEN.fullmatch(item.name) or item.name in defined:
            raise PolicyError("a name is reserved, defined twice or not a single word")
        if isinstance(item, PolicyGroup):
            if not 1 <= item.threshold <= len(item.members):
                raise PolicyError("a group's threshold is not between 1 and its number of members")
            for member in item.members:
                if member not in defined:
                    raise PolicyError("a group names a member that is not defined before it")
                if member in used:
                    raise PolicyError("a name is a member of a group twice, or of two groups")
                used.add(member)
        defined.add(item.name)
    if policy.quorum is not None and policy.quorum not in defined - {_NONE}:
        raise PolicyError("the quorum names nothing that is defined")


@dataclass(slots=True)
class _Reader:
    """What the lines read so far define."""

    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: list[PolicyWitness] = field(default_factory=list)
    groups: list[PolicyGroup] = field(default_factory=list)
    defined: set[str] = field(default_factory=set)
    quorum: str | None = None
    quorum_seen: bool = False

    def read(self, items: list[str]) -> None:
        match items:
            case ["log", vkey, *rest] if len(rest) <= 1:
                self.logs.append(PolicyLog(VerifierKey.parse(vkey), *rest))
            case ["witness", name, vkey, *rest] if len(rest) <= 1:
                self.witnesses.append(PolicyWitness(name, VerifierKey.parse(vkey), *rest))
                self.defined.add(name)
            case ["group", name, threshold, *members] if members:
                self._read_group(name, threshold, members)
            case ["quorum", name]:
                self._read_quorum(name)
            case _:
                raise PolicyError("not a log, witness, group or quorum line")
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > MAX_LINES:
            raise PolicyError(f"more than {MAX_LINES} lines of one kind")

    def _read_group(self, name: str, threshold: str, members: list[str]) -> None:
        if threshold == "all":
            number = len(members)
        elif threshold == "any":
            number = 1
        else:
            number = decode_decimal(threshold, "a group's threshold", PolicyError)
        if not self.defined.issuperset(members):
            raise PolicyError("a group names a member that is not defined before it")
        self.groups.append(PolicyGroup(name, number, tuple(members)))
        self.defined.add(name)

    def _read_quorum(self, name: str) -> None:
        if self.quorum_seen:
            raise PolicyError("a second quorum line")
        self.quorum_seen = True
        if name != _NONE:
            if name not in self.defined:
                raise PolicyError("the quorum names nothing that is defined before it")
            self.quorum = name
