"""Verifies a bundle of one stream, a case or another about people: its entries, each with its
proof under one checkpoint.

Guarantees, when the verdict is not FAILED: every entry given stands in the signed tree at its
position; the stream's entries are its versions 1 to the last given, chained, with none left out
between them; every type was registered in the same log before it was used; every opened field is
one that the entry at that position commits to. That no later version was withheld is not shown.
(docs/formats.md, "Bundles".)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ledger_verifier.audit.cover import check_cover
from ledger_verifier.audit.dates import Dates
from ledger_verifier.audit.history import History
from ledger_verifier.audit.person import PAGE, check_page
from ledger_verifier.audit.report.build import build_report
from ledger_verifier.audit.report.model import Failure, Findings, Report
from ledger_verifier.audit.state import State, refuse_foreign
from ledger_verifier.audit.streams import EntryChecker
from ledger_verifier.audit.trust import Trusted, accept, check_log_keys, same_log, signed_log_keys
from ledger_verifier.formats.bundle import (
    CHECKPOINT,
    MANIFEST,
    BundleReader,
    CaseManifest,
    MissingMemberError,
    UnknownBundleFormatError,
    decode_disclosures,
    decode_proof,
    disclosures_name,
    entry_name,
    proof_name,
)
from ledger_verifier.formats.cover import COVER, NONCE, Cover
from ledger_verifier.formats.disclosure import MAX_TEXT, Disclosure
from ledger_verifier.formats.entry import MAX_ENTRY
from ledger_verifier.formats.errors import FormatError, OtherLogError
from ledger_verifier.formats.merkle import leaf_hash, verify_inclusion
from ledger_verifier.formats.note import MAX_NOTE
from ledger_verifier.formats.policy import Policy
from ledger_verifier.meaning.schemas import DEFINING_TYPES, Registry

SUBJECT: Final = "case bundle"
STREAM_SUBJECT: Final = "stream bundle"
NOT_SHOWN: Final = (
    "that the stream is whole: a later entry of it may have been left out of the bundle",
    "that any other stream about the same person was included",
)
ID_UNIQUENESS: Final = "uniqueness of ids and of digests: a {subject} is only a part of the log"

MAX_MANIFEST: Final = 4 * 1024 * 1024
MAX_DISCLOSURES: Final = 64 * MAX_TEXT
MAX_PROOF_BYTES: Final = 64 * 45


def verify_case(
    bundle: BundleReader,
    policy: Policy,
    *,
    earlier: Sequence[Trusted] = (),
    remembered: Sequence[Trusted] = (),
    state: State | None = None,
    policy_sha256: str | None = None,
) -> Report:
    """Verify a bundle of one stream; what it holds never makes this raise.

    A checkpoint in `earlier` that cannot be compared with the bundle's makes the verdict
    UNVERIFIABLE; one that is merely `remembered` is then listed as not compared.
    """
    findings = Findings()
    trusted = cover = None
    subject = SUBJECT
    try:
        manifest = CaseManifest.parse(bundle.read(MANIFEST, MAX_MANIFEST))
        subject = SUBJECT if manifest.stream.startswith("case/") else STREAM_SUBJECT
        trusted = accept(bundle.read(CHECKPOINT, MAX_NOTE), policy, "the checkpoint in the bundle")
    except (MissingMemberError, UnknownBundleFormatError, OtherLogError) as error:
        findings.lack(str(error))
    except FormatError as error:
        findings.fail(Failure(str(error)))
    else:
        _compare(subject, trusted, earlier, remembered, findings)
        seen = same_log((*earlier, *remembered), trusted.origin)
        besides = frozenset({COVER, NONCE, PAGE} if COVER in bundle else {NONCE})
        verify_stream(bundle, manifest, trusted, seen, findings, besides=besides)
        cover = check_cover(bundle, trusted, policy, findings)
        if cover is not None:
            check_page(bundle, cover.audience, findings)
        check_log_keys(trusted, policy, findings)
        foreign = state is not None and refuse_foreign(state, trusted.origin, findings)
        if state is not None and not findings.failed and not foreign:
            state.add(trusted.origin, trusted.raw)
    findings.not_assessed.append(ID_UNIQUENESS.format(subject=subject))
    report = build_report(subject, findings, policy, trusted, policy_sha256, not_shown=NOT_SHOWN)
    return report if cover is None or findings.failed else _with_cover(report, cover)


def _with_cover(report: Report, cover: Cover) -> Report:
    """The report, saying what the cover says."""
    what = (
        f"that the log made this pack for the {cover.audience} ({cover.recipient}, for "
        f"{cover.purpose}) on {cover.made_at[:10]}; it is to be destroyed by {cover.expires_on}"
    )
    return replace(report, shown=(*report.shown, what))


def _compare(
    subject: str,
    trusted: Trusted,
    earlier: Sequence[Trusted],
    remembered: Sequence[Trusted],
    findings: Findings,
) -> None:
    here = [known for known in remembered if known.origin == trusted.origin]
    history = History(trusted, [*earlier, *here], findings)
    findings.counts["earlier_checkpoints"] = history.compared
    for known in (*history.uncompared, *history.larger):
        reason = (
            f"consistency with {known.label}: a {subject} holds no proof between checkpoints of "
            "different sizes (verify the log, or a log bundle)"
        )
        if known in earlier:
            findings.lack(reason)
        else:
            findings.not_assessed.append(reason)


def verify_stream(
    bundle: BundleReader,
    manifest: CaseManifest,
    trusted: Trusted,
    seen: Sequence[Trusted],
    findings: Findings,
    *,
    besides: frozenset[str] = frozenset(),
    heard: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:
    """Verify the entries of a bundle of one stream under an accepted checkpoint. Members named in
    `besides` may be there too; `heard` is told of every entry of the stream that passed its own
    checks."""
    if manifest.origin != trusted.origin:
        findings.fail(Failure("manifest.json: origin is not that of the checkpoint"))
    if manifest.tree_size != trusted.size:
        findings.fail(Failure("manifest.json: tree_size is not that of the checkpoint"))
        return
    listed = sorted({*manifest.positions, *manifest.registrations})
    for name in sorted(set(bundle.names) - _expected(listed) - besides):
        findings.fail(Failure(f"{name} is in the bundle but not in its manifest"))
    if manifest.registrations[0] != 0:
        findings.lack("the bundle lacks entry 0, ledger.opened")
    keys = [key.vkey for key in signed_log_keys(trusted)]
    opened = _Disclosures(bundle, findings, heard)
    checker = EntryChecker(findings, trusted.origin, keys, observer=opened, sparse="ledger")
    opened.registry = checker.registry
    dates = Dates([trusted, *seen], findings)
    case = frozenset(manifest.positions)
    for position in listed:
        raw = _member(bundle, entry_name(position), MAX_ENTRY, position, findings)
        if raw is None:
            checker.gap()
            continue
        findings.counts["entries"] += 1
        _check_inclusion(bundle, position, raw, trusted, findings)
        dates.check(position, [raw])
        opened.expected = manifest.stream if position in case else None
        checker.check(position, [raw])
    checker.expiries.settle()
    findings.counts["streams"] = 1
    unopened = findings.counts["unopened"]
    if unopened:
        findings.not_assessed.append(
            f"what {unopened} sealed fields of {opened.closed} entries say: the bundle does not "
            "open them, because they were erased, or left out, or are not for you to see"
        )


def _expected(listed: Sequence[int]) -> set[str]:
    names = {MANIFEST, CHECKPOINT}
    for position in listed:
        names |= {entry_name(position), proof_name(position), disclosures_name(position)}
    return names


def _member(
    bundle: BundleReader, name: str, limit: int, position: int, findings: Findings
) -> bytes | None:
    try:
        return bundle.read(name, limit)
    except MissingMemberError as error:
        findings.lack(str(error))
    except FormatError as error:
        findings.fail(Failure(str(error), position))
    return None


def _check_inclusion(
    bundle: BundleReader, position: int, raw: bytes, trusted: Trusted, findings: Findings
) -> None:
    proof = _member(bundle, proof_name(position), MAX_PROOF_BYTES, position, findings)
    if proof is None:
        return
    try:
        hashes = decode_proof(proof)
        verify_inclusion(leaf_hash(raw), position, trusted.size, hashes, trusted.root)
    except FormatError as error:
        findings.fail(Failure(f"not shown to be in the log at this position: {error}", position))
    else:
        findings.counts["proofs"] += 1


class _Disclosures:
    """Watches the entries go by: each must be where the manifest says, and every opened field
    must be one that it commits to."""

    def __init__(
        self,
        bundle: BundleReader,
        findings: Findings,
        heard: Callable[[Mapping[str, Any]], None] | None,
    ) -> None:
        self._bundle, self._heard = bundle, heard
        self._findings = findings
        self.registry = Registry()
        self.expected: str | None = None
        #: Entries with a field that was not opened.
        self.closed = 0

    def entry(self, position: int, raw: bytes, entry: Mapping[str, Any], accepted: bool) -> None:
        """Check one decoded entry."""
        stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
        if self.expected is None and entry["type"] not in DEFINING_TYPES:
            reason = "listed as a registration, but is none"
            self._findings.fail(Failure(reason, position, stream, "type"))
        elif self.expected is not None and stream != self.expected:
            reason = "not of the stream that the bundle is about"
            self._findings.fail(Failure(reason, position, stream, "stream"))
        elif self.expected is not None and accepted and self._heard is not None:
            self._heard(entry)
        name = disclosures_name(position)
        before = self._findings.counts["disclosures"]
        if name in self._bundle:
            for reason in self._problems(position, entry):
                self._findings.fail(Failure(reason, position, stream, "data._sd"))

        opened = self._findings.counts["disclosures"] - before
        unopened = len(entry["data"]["_sd"]) - opened
        self._findings.counts["unopened"] += unopened
        self.closed += unopened > 0

    def end(self, heads: Mapping[str, tuple[int, bytes, int]]) -> None:
        """Nothing is left to check at the end."""

    def _problems(self, position: int, entry: Mapping[str, Any]) -> Iterator[str]:
        try:
            raw = self._bundle.read(disclosures_name(position), MAX_DISCLOSURES)
            opened = [Disclosure.parse(text) for text in decode_disclosures(raw)]
        except FormatError as error:
            yield f"disclosures: {error}"
            return
        registration = self.registry.get(entry["type"], entry["schema"])
        sealed = {} if registration is None else registration.sealed
        digests, names = set(entry["data"]["_sd"]), set()
        for number, disclosure in enumerate(opened, 1):
            if disclosure.digest not in digests:
                yield f"disclosure {number} opens nothing that this entry commits to"
            elif disclosure.name not in sealed:
                yield f"disclosure {number} names a field that its type does not seal"
            elif disclosure.name in names:
                yield f"disclosure {number} opens a field that another one opens already"
            else:
                self._findings.counts["disclosures"] += 1
            digests.discard(disclosure.digest)
            names.add(disclosure.name)
