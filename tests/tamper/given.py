"""What a client, a person or an auditor was given, as targets: receipts, case bundles, packs, and
erasure certificates."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.certificate import verify_certificate
from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.model import Report
from ledger_verifier.formats.bundle import (
    MANIFEST,
    BundleReader,
    CaseManifest,
    write_bundle,
)
from ledger_verifier.formats.certificate import CERTIFICATE
from tests.tamper.forge import Signing
from tests.tamper.subject import Subject


@dataclass(slots=True)
class Receipt:
    """A receipt and the entry it is about, for an attack to change."""

    subject: Subject
    raw: bytes = b""
    entry: bytes = b""

    @property
    def signing(self) -> Signing:
        return Signing.real(self.subject.directory)

    def choose(self, random: Random) -> int:
        """Take one of the receipts, as it was given; returns its position."""
        position = random.choice(list(self.subject.receipts))
        self.raw, self.entry = self.subject.receipts[position], self.subject.entries[position]
        return position

    def report(self) -> Report:
        return verify_receipt(self.raw, self.entry, self.subject.directory.policy())


class ReceiptTarget:
    """The receipts of a ledger."""

    name = "receipt"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @contextmanager
    def stage(self) -> Iterator[Receipt]:
        yield Receipt(self._subject)


@dataclass(slots=True)
class Case:
    """A case bundle, for an attack to change."""

    subject: Subject
    members: dict[str, bytes]
    manifest: CaseManifest

    def choose(self, random: Random) -> CaseManifest:
        """Take one of the bundles, as it was given."""
        self.members = dict(random.choice(self.subject.cases))
        self.manifest = CaseManifest.parse(self.members[MANIFEST])
        return self.manifest

    def report(self) -> Report:
        file = io.BytesIO()
        write_bundle(file, self.members.items())
        return verify_case(BundleReader(file), self.subject.directory.policy())


class CaseTarget:
    """The case bundles of a ledger."""

    name = "case bundle"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @contextmanager
    def stage(self) -> Iterator[Case]:
        members = dict(self._subject.cases[0])
        yield Case(self._subject, members, CaseManifest.parse(members[MANIFEST]))


class Pack(Case):
    """A pack, for an attack to change."""

    @property
    def signing(self) -> Signing:
        return Signing.real(self.subject.directory)

    def choose(self, random: Random) -> CaseManifest:
        """Take one of the packs, as it was given."""
        self.members = dict(random.choice(self.subject.packs))
        self.manifest = CaseManifest.parse(self.members[MANIFEST])
        return self.manifest


class PackTarget:
    """The packs of a ledger."""

    name = "pack"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @contextmanager
    def stage(self) -> Iterator[Pack]:
        members = dict(self._subject.packs[0])
        yield Pack(self._subject, members, CaseManifest.parse(members[MANIFEST]))


@dataclass(slots=True)
class Certified:
    """An erasure certificate, for an attack to change."""

    subject: Subject
    members: dict[str, bytes]

    @property
    def signing(self) -> Signing:
        return Signing.real(self.subject.directory)

    def choose(self, random: Random, form: str = "") -> None:
        """Take one of the certificates, of this form if one is named, as it was given."""
        of_form = [
            one
            for one in self.subject.certificates
            if not form or (MANIFEST in one) is (form == "controller")
        ]
        self.members = dict(random.choice(of_form))

    def report(self) -> Report:
        file = io.BytesIO()
        write_bundle(file, self.members.items())
        return verify_certificate(BundleReader(file), self.subject.directory.policy())


class CertificateTarget:
    """The erasure certificates of a ledger."""

    name = "erasure certificate"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @contextmanager
    def stage(self) -> Iterator[Certified]:
        assert CERTIFICATE in self._subject.certificates[0]
        yield Certified(self._subject, dict(self._subject.certificates[0]))
