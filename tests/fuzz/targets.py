"""What hostile bytes reach, and what may come of it.

Guarantees of each target, for any input: it returns, or raises one of the errors it declares; what
it accepts of a format with one form is written back as the same bytes. Where a whole verification
runs, its verdict is never a good one for altered bytes (`hold` raises AssertionError).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import orjson

from api.cloudevents import Mode, Parser
from api.routes.staff import BODY_LIMIT
from api.strict_json import loads
from ledger.catalogue import CATALOGUE
from ledger.catalogue.bodies import parse_body
from ledger.catalogue.staff import StaffOpening, StaffRegistration
from ledger.errors import LedgerError, Malformed
from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.certificate import verify_certificate
from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.audit.state import State, StateError
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.bundle import (
    CHECKPOINT,
    BundleReader,
    decode_disclosures,
    decode_proof,
)
from ledger_verifier.formats.certificate import CERTIFICATE, Certificate
from ledger_verifier.formats.checkpoint import Checkpoint, open_checkpoint
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import Note, VerifierKey
from ledger_verifier.formats.policy import Policy
from ledger_verifier.formats.proof import LogProof
from ledger_verifier.formats.tiles import TILE_WIDTH, Tile, decode_entries, encode_entries
from tests.api.events import NOW, credential
from tests.fuzz import seeds
from tests.verifier.audit.world import policy

GOOD: Final = frozenset({Verdict.VERIFIED, Verdict.UNWITNESSED})


@dataclass(frozen=True, slots=True)
class Target:
    """A parser, the errors that it may raise, and good inputs to start from."""

    name: str
    parse: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    good: Callable[[], Sequence[bytes]]

    def hold(self, data: bytes) -> None:
        """Run it; anything but its own errors is raised."""
        try:
            self.parse(data)
        except self.errors as error:
            said = str(error)
        else:
            return
        # What is printed of an error must never be a stretch of the input.
        assert len(said) < 2000, "an error repeats its input"


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _note(data: bytes) -> None:
    note = Note.parse(data)
    assert note.encode() == data
    checkpoint = Checkpoint.parse(note.text)
    assert checkpoint.text == note.text


def _vkey(data: bytes) -> None:
    assert VerifierKey.parse(_text(data)).vkey == _text(data)


def _checkpoint(data: bytes) -> None:
    opened = open_checkpoint(data, [log.key for log in policy().logs])
    assert opened.checkpoint.size == seeds.SIZE, "a checkpoint that nobody signed was opened"


def _policy(data: bytes) -> None:
    Policy.parse(data)


def _proof(data: bytes) -> None:
    assert LogProof.parse(data).encode().encode() == data


def _entry(data: bytes) -> None:
    assert entries.encode(entries.decode(data)) == data


def _disclosure(data: bytes) -> None:
    disclosure = Disclosure.parse(_text(data))
    assert disclosure.text == _text(data)


def _lists(data: bytes) -> None:
    for read in (decode_disclosures, decode_proof):
        try:
            read(data)
        except FormatError:
            continue


def _tile(data: bytes) -> None:
    for count in (1, 3, TILE_WIDTH):
        try:
            found = decode_entries(data, count)
        except FormatError:
            continue
        assert encode_entries(found) == data


def _tile_path(data: bytes) -> None:
    assert Tile.parse(_text(data)).path == _text(data)


def _bundle(data: bytes) -> None:
    bundle = BundleReader(BytesIO(data))
    for name in bundle.names:
        try:
            bundle.read(name)
        except FormatError:
            continue


def _log_bundle(data: bytes) -> None:
    reader = BundleLogReader(BundleReader(BytesIO(data)))
    report = verify_log(reader, policy(), options=Options(wait=0.0))
    if report.verdict in GOOD and data != seeds.log_bundle():
        # What nobody signs may differ: members that belong to no log, and lines of signatures by
        # keys that the policy does not know.
        assert reader.checkpoint().startswith(seeds.signed_text())
        for name, content in seeds.members().items():
            assert name == CHECKPOINT or BundleReader(BytesIO(data)).read(name) == content


def _member(data: bytes) -> None:
    """Alter one member of a log, whose archive is made anew: its checksums are right."""
    if len(data) < 4:
        return
    content = dict(seeds.members())
    name = sorted(content)[data[0] % len(content)]
    whole = content[name]
    at = int.from_bytes(data[1:3], "big") % (len(whole) + 1)
    content[name] = whole[:at] + data[4:] + whole[at + data[3] :]
    _log_bundle(seeds.archive(content))


def _case_bundle(data: bytes) -> None:
    report = verify_case(BundleReader(BytesIO(data)), policy())
    assert report.verdict not in GOOD or data == seeds.case_bundle()


def _certificate(data: bytes) -> None:
    report = verify_certificate(BundleReader(BytesIO(data)), policy())
    assert report.verdict not in GOOD or data in seeds.certificates()


def _statement(data: bytes) -> None:
    assert Certificate.parse(_text(data)).text == _text(data)


def _signed_statement(data: bytes) -> None:
    """Whatever the log's own key has signed, verifying it ends in a verdict."""
    for good in seeds.certificates():
        bundle = BundleReader(BytesIO(good))
        content = {name: bundle.read(name) for name in bundle.names}
        try:
            content[CERTIFICATE] = seeds.certified(_text(data))
        except FormatError:
            return
        verify_certificate(BundleReader(BytesIO(seeds.archive(content))), policy())


def _statements() -> list[bytes]:
    bundles = [BundleReader(BytesIO(good)) for good in seeds.certificates()]
    return [Note.parse(bundle.read(CERTIFICATE)).text.encode() for bundle in bundles]


def _receipt(data: bytes) -> None:
    position = seeds.POSITION
    entry = seeds.world().entries[position]
    report = verify_receipt(data, entry, policy(None))
    assert report.verdict not in GOOD or LogProof.parse(data).index == position


def _state(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        path.write_bytes(data)
        State.load(path)


@lru_cache(maxsize=1)
def _parser() -> Parser:
    return Parser(CATALOGUE, lambda: NOW)


def _staff(data: bytes) -> None:
    if len(data) > BODY_LIMIT:
        raise Malformed("It would not have been read.")
    value = loads(data)
    for model in (StaffRegistration, StaffOpening):
        try:
            parse_body(model, value)
        except LedgerError:
            continue
        return
    raise Malformed("Neither of the two.")


def _event(data: bytes) -> None:
    for mode in (Mode.STRUCTURED, Mode.BATCH, Mode.JSON):
        try:
            _parser().parse(mode, [], data, credential(all=True), whole=True)
        except LedgerError:
            continue


def _binary(data: bytes) -> None:
    head, _, body = data.partition(b"\n\n")
    pairs = [line.partition(":") for line in _text(head).split("\n")]
    headers = [(name, value.strip()) for name, _, value in pairs]
    _parser().parse(Mode.BINARY, headers, body, credential(all=True), whole=True)


def _binary_seed() -> bytes:
    event = orjson.loads(seeds.events()[0])
    body = orjson.dumps(event.pop("data"))
    event.pop("datacontenttype")
    return (
        "\n".join(f"ce-{name}:{value}" for name, value in event.items()).encode() + b"\n\n" + body
    )


def _some_entries() -> list[bytes]:
    return [seeds.world().entries[position] for position in (0, 1, seeds.POSITION)]


_FORMAT: Final = (FormatError,)

TARGETS: Final = {
    target.name: target
    for target in (
        Target("note", _note, _FORMAT, lambda: [seeds.members()["checkpoint"]]),
        Target("vkey", _vkey, _FORMAT, lambda: [x.key.vkey.encode() for x in policy().logs]),
        Target("checkpoint", _checkpoint, _FORMAT, lambda: [seeds.members()["checkpoint"]]),
        Target("policy", _policy, _FORMAT, lambda: [policy().encode()]),
        Target("proof", _proof, _FORMAT, lambda: [seeds.receipt()]),
        Target("entry", _entry, _FORMAT, _some_entries),
        Target(
            "disclosure",
            _disclosure,
            _FORMAT,
            lambda: [d.text.encode() for d in seeds.world().opened[seeds.POSITION]],
        ),
        Target("lists", _lists, (), lambda: [b'["WyJhIl0"]']),
        Target("tile", _tile, (), lambda: [seeds.entry_tile()]),
        Target("tile path", _tile_path, _FORMAT, lambda: [b"tile/0/x001/234.p/7"]),
        Target("bundle", _bundle, _FORMAT, lambda: [seeds.log_bundle(), seeds.case_bundle()]),
        Target("log bundle", _log_bundle, _FORMAT, lambda: [seeds.log_bundle()]),
        Target("member of a log bundle", _member, _FORMAT, lambda: [b"\0\0\0\0", b"\2\1\0\1ab"]),
        Target("case bundle", _case_bundle, _FORMAT, lambda: [seeds.case_bundle()]),
        Target("certificate", _certificate, _FORMAT, lambda: seeds.certificates()),
        Target("statement of a certificate", _statement, _FORMAT, _statements),
        Target("signed statement", _signed_statement, _FORMAT, _statements),
        Target("receipt", _receipt, (), lambda: [seeds.receipt()]),
        Target("state file", _state, (StateError,), lambda: [seeds.state_file()]),
        Target("event", _event, (), seeds.events),
        Target("body about staff", _staff, (LedgerError,), seeds.staff_bodies),
        Target("event in binary mode", _binary, (LedgerError,), lambda: [_binary_seed()]),
    )
}
