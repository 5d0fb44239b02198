"""Erasure certificates: what they state, who may take them, and that altered ones are refused."""

import asyncio
import io
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import ErasureNotVerified, Forbidden, NotFound
from ledger.initialise import initialise
from ledger.intake import LONDON
from ledger.store import open_store
from ledger_verifier.audit.certificate import verify_certificate
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.cli import main
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.bundle import BundleReader, write_bundle
from ledger_verifier.formats.certificate import CERTIFICATE, Certificate, open_certificate
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.errors import CertificateError, NoteError
from ledger_verifier.formats.note import Ed25519Signer, Note
from ledger_verifier.formats.policy import Policy, PolicyLog
from ledger_verifier.meaning.certified import NOTICE
from tests.ledger.acts import LEWISHAM, act, credential, identified

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
DESTROYED = (("inspector", "ico"), ("subject", None))
TODAY = datetime.now(LONDON).date().isoformat()
NEXT_YEAR = f"{int(TODAY[:4]) + 1}{TODAY[4:8]}01T00:00:00.000Z"
Members = dict[str, bytes]


@dataclass(frozen=True)
class Made:
    """A ledger with an erased case, and the two forms of its certificate."""

    directory: DataDirectory
    case: str
    share: str
    controller: Members
    subject: Members
    later: Members
    access: list[dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("certificates") / "data"
    directory = initialise(path, origin="example.org/certified", publish_seconds=0.05)
    return asyncio.run(_make(directory))


async def _make(directory: DataDirectory) -> Made:
    person = identified()
    shared = act("data.disclosed", person.stream)
    case = person.stream.id
    officer = credential(Role.RIGHTS_OFFICER)
    async with Ledger.open(directory.path) as ledger:
        await ledger.record(ANY, [person, shared])
        await _take_copies(ledger, person.stream)
        with pytest.raises(ErasureNotVerified):
            await ledger.erasure_certificate(DPO, case, ACTOR, "controller")
        await ledger.record(DPO, [act("erasure.executed", person.stream)])
        await ledger.erasures_verified()
        controller = await ledger.erasure_certificate(DPO, case, ACTOR, "controller")
        subject = await ledger.erasure_certificate(officer, case, ACTOR, "subject")
        for role in (Role.COORDINATOR, Role.AUDITOR, Role.INSPECTOR, Role.SUBMITTER):
            with pytest.raises(Forbidden):
                await ledger.erasure_certificate(credential(role), case, ACTOR, "subject")
        with pytest.raises(Forbidden):
            await ledger.erasure_certificate(officer, case, ACTOR, "controller")
        elsewhere = credential(
            Role.DPO, all=False, organisation="met-police", hubs=frozenset({LEWISHAM})
        )
        for caller, asked in ((elsewhere, case), (DPO, ACTOR)):
            with pytest.raises(NotFound):
                await ledger.erasure_certificate(caller, asked, ACTOR, "controller")
        # That each was taken is in the access stream, before it was given out.
        found, _, _ = await ledger.feed(
            DPO, after=-1, types=frozenset({"record.consulted"}), limit=100, actor=ACTOR
        )
        assert len(found) == 8
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ledger.certifying.instant", lambda _: NEXT_YEAR)
            later = await ledger.erasure_certificate(DPO, case, ACTOR, "controller")
    share = shared.data["disclosure_id"]
    forms = (_members(controller), _members(subject), _members(later))
    with closing(open_store(directory.database)) as store:
        kept = [entries.decode(one.raw) for one in store.stream(f"access/{case}")]
    return Made(directory, case, share, *forms, kept)


async def _take_copies(ledger: Ledger, case: StreamRef) -> None:
    """A bundle that opens nothing, one that opens what it may, and three packs, of which two are
    confirmed to be destroyed: one by the event of its making, one by that of the reading."""
    await ledger.bundle(DPO, case, actor=ACTOR)
    for audience, recipient in ((None, None), ("auditor", "city-hall"), *DESTROYED):
        await ledger.bundle(
            DPO,
            case,
            audience,
            recipient=recipient,
            expires_on=TODAY,
            actor=ACTOR,
            purpose="inspection",
        )
    found, _, _ = await ledger.feed(DPO, types=frozenset({"export.produced"}), actor=ACTOR)
    _, one, other = [entries.decode(raw) for _, raw in found]
    access = StreamRef("access", case.id)
    for event in (one["id"], other["data"]["consulted_event"]):
        data = {**act("destruction.confirmed").data, "export_event": event}
        await ledger.record(DPO, [act("destruction.confirmed", access, data=data)])
    # Another system may say that the bundle became a pack without sealed fields: it stays a copy.
    found, _, _ = await ledger.feed(DPO, types=frozenset({"record.consulted"}), actor=ACTOR)
    bundle = entries.decode(found[1][1])["id"]
    data = {**act("export.produced").data, "holds_sealed": False, "consulted_event": bundle}
    await ledger.record(ANY, [act("export.produced", access, data=data)])
    # Nor does it speak for the reading by taking its id, which is another's in its own name.
    for taken in (bundle, other["data"]["consulted_event"]):
        await ledger.record(ANY, [act("export.produced", access, data=data, id=taken)])


def _members(raw: bytes) -> Members:
    bundle = BundleReader(io.BytesIO(raw))
    return {name: bundle.read(name) for name in bundle.names}


def _file(members: Members) -> BundleReader:
    file = io.BytesIO()
    write_bundle(file, list(members.items()))
    return BundleReader(file)


def _stated(made: Made, members: Members) -> Certificate:
    return open_certificate(members[CERTIFICATE], made.directory.policy().log_keys())


def _signed(made: Made, certificate: Certificate) -> bytes:
    line = made.directory.signing_keys().ed25519.sign(certificate.text)
    return Note(certificate.text, (line,)).encode()


def _verdict(made: Made, members: Members) -> tuple[Verdict, str]:
    report = verify_certificate(_file(members), made.directory.policy())
    return report.verdict, " ".join([f.reason for f in report.failures] + list(report.lacking))


def test_both_forms_hold_and_say_what_is_outstanding(made: Made) -> None:
    for members in (made.subject, made.controller):
        report = verify_certificate(_file(members), made.directory.policy())
        assert report.verdict is Verdict.VERIFIED, report.failures
        assert any("erased" in line for line in report.shown)
    facts = _stated(made, made.controller).facts
    assert facts["outstanding"] == [f"recipient/{made.share}", "source/lewisham-cases"]
    assert {"dual-control-not-evidenced", "erasure-backdated"} < set(facts["findings"])
    stated, day = facts["erasures"][0]["stated_at"], _stated(made, made.subject).facts["erased_on"]
    assert stated[:10] < day == facts["erasures"][0]["erased_at"][:10]
    assert all(part in " ".join(report.shown) for part in (stated, *facts["findings"]))


def test_every_copy_that_is_not_confirmed_destroyed_is_listed(made: Made) -> None:
    bundle = [e for e in made.access if e["type"] == "record.consulted"][1]
    pack = next(e for e in made.access if e["type"] == "export.produced")
    assert pack["data"]["audience"] == "auditor"
    exports = _stated(made, made.controller).exports
    assert exports == {
        "taken": 4,
        "destroyed": 2,
        "outstanding": [
            {
                "event": bundle["id"],
                "taken_on": bundle["recorded_at"][:10],
                "destroy_by": None,
                "audience": None,
                "overdue": False,
            },
            {
                "event": pack["id"],
                "taken_on": pack["recorded_at"][:10],
                "destroy_by": TODAY,
                "audience": "auditor",
                "overdue": _stated(made, made.controller).issued_at[:10] > TODAY,
            },
        ],
    }
    report = verify_certificate(_file(made.controller), made.directory.policy())
    assert all(any(one["id"] in line for line in report.shown) for one in (bundle, pack))
    assert any("4 taken, 2 destroyed" in line for line in report.not_assessed)
    text = b"".join(made.controller.values())
    assert b"city-hall" not in text
    # The person is told how many, and nothing else.
    assert _stated(made, made.subject).exports == {"taken": 4, "destroyed": 2}


def test_a_pack_whose_last_day_has_passed_stays_outstanding_and_is_overdue(made: Made) -> None:
    copies = _stated(made, made.later).exports["outstanding"]
    assert [copy["overdue"] for copy in copies] == [False, True]
    report = verify_certificate(_file(made.later), made.directory.policy())
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert any(f"destroyed by {TODAY}, overdue" in line for line in report.shown)


def test_copies_that_do_not_add_up_with_the_real_key(made: Made) -> None:
    certificate = _stated(made, made.later)
    exports = certificate.exports
    bundle, pack = exports["outstanding"]
    for outstanding in (
        [pack],
        [bundle, pack, pack],
        [bundle, {**pack, "overdue": False}],
        [{**bundle, "overdue": True}, pack],
        [bundle, {**pack, "destroy_by": None}],
        [bundle, {**pack, "audience": "public"}],
        [bundle, {**pack, "audience": []}],
        [bundle, {**pack, "recipient": "city-hall"}],
        [bundle, {**pack, "event": "one"}],
        [bundle, {**pack, "taken_on": "today"}],
        None,
    ):
        other = replace(certificate, exports={**exports, "outstanding": outstanding})
        lying = {**made.later, CERTIFICATE: _signed(made, other)}
        verdict, why = _verdict(made, lying)
        assert (verdict, "exports" in why) == (Verdict.FAILED, True), outstanding
    whole = replace(certificate, exports={"taken": 4, "destroyed": 2})
    assert _verdict(made, {**made.later, CERTIFICATE: _signed(made, whole)})[0] is Verdict.FAILED


def test_the_subjects_form_names_nobody(made: Made) -> None:
    text = b"".join(made.subject.values()).decode()
    certificate = _stated(made, made.subject)
    for name in (made.case, made.share, ACTOR, "lewisham", LEWISHAM, "erasure.executed"):
        assert name not in text
    assert certificate.facts["notice"] == NOTICE
    assert certificate.facts["recipients"] == [
        {"category": "voluntary-sector", "told": False, "confirmed": False}
    ]


def _altered(name: str) -> Callable[[Members], None]:
    def alter(members: Members) -> None:
        members[name] = members[name][:-2] + bytes([members[name][-2] ^ 1]) + members[name][-1:]

    return alter


def _without(name: str) -> Callable[[Members], None]:
    def drop(members: Members) -> None:
        del members[name]

    return drop


@pytest.mark.parametrize("form", ["controller", "subject"])
def test_every_member_counts(made: Made, form: str) -> None:
    whole: Members = getattr(made, form)
    for name in whole:
        altered = dict(whole)
        _altered(name)(altered)
        assert _verdict(made, altered)[0] is Verdict.FAILED, name
        lacking = dict(whole)
        _without(name)(lacking)
        verdict, why = _verdict(made, lacking)
        assert verdict in (Verdict.UNVERIFIABLE, Verdict.FAILED), name
        assert name.rpartition("/")[2].lstrip("0") in why or "positions" in why, (name, why)
    verdict, why = _verdict(made, {**whole, "zzz": b"more"})
    assert (verdict, "zzz" in why) == (Verdict.FAILED, True)


def test_a_statement_signed_by_the_real_key_over_other_facts(made: Made) -> None:
    certificate = _stated(made, made.controller)
    facts = {**certificate.facts, "outstanding": []}
    lying = {**made.controller, CERTIFICATE: _signed(made, replace(certificate, facts=facts))}
    assert _verdict(made, lying) == (
        Verdict.FAILED,
        "the certificate states what the entries enclosed do not show",
    )
    fewer = replace(certificate, leaves=certificate.leaves[1:])
    assert _verdict(made, {**made.controller, CERTIFICATE: _signed(made, fewer)})[0] is (
        Verdict.FAILED
    )
    larger = replace(certificate, tree_size=certificate.tree_size + 1)
    assert _verdict(made, {**made.controller, CERTIFICATE: _signed(made, larger)})[0] is (
        Verdict.FAILED
    )


def test_a_subjects_form_with_other_words_or_more(made: Made) -> None:
    certificate = _stated(made, made.subject)
    changes: list[dict[str, Any]] = [
        {"notice": "All is well."},
        {"stream": made.case},
        {"copies": {}},
        {"erased_on": made.case},
        {"verified_on": None},
        {"no_backups_from": 1},
        {"recorded_since": 0},
        {"recipients": [made.case]},
        {"recipients": [{"category": made.case, "told": True, "confirmed": True}]},
        {"systems": {"held": made.case, "confirmed": 1}},
    ]
    for change in changes:
        other = replace(certificate, facts={**certificate.facts, **change})
        lying = {**made.subject, CERTIFICATE: _signed(made, other)}
        assert _verdict(made, lying)[0] is Verdict.FAILED, change
    position, _ = certificate.leaves[0]
    moved = replace(certificate, leaves=((position, "00" * 32), *certificate.leaves[1:]))
    verdict, why = _verdict(made, {**made.subject, CERTIFICATE: _signed(made, moved)})
    assert (verdict, "not shown to be in the log" in why) == (Verdict.FAILED, True)


def test_a_statement_that_nobody_or_somebody_else_signed(made: Made) -> None:
    certificate = _stated(made, made.subject)
    stranger = Ed25519Signer.generate("example.org/certified")
    forged = Note(certificate.text, (stranger.sign(certificate.text),)).encode()
    verdict, why = _verdict(made, {**made.subject, CERTIFICATE: forged})
    assert (verdict, "not signed" in why) == (Verdict.FAILED, True)
    key = made.directory.signing_keys().ed25519.key
    with pytest.raises(NoteError):
        bad = made.directory.signing_keys().ed25519.sign("x\n")
        open_certificate(Note(certificate.text, (bad,)).encode(), [key])
    other = Policy(logs=(PolicyLog(Ed25519Signer.generate("example.org/other").key),))
    report = verify_certificate(_file(made.subject), other)
    assert report.verdict is Verdict.UNVERIFIABLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org/log\n3\nAAAA\n",
        "hub-ledger/erasure-certificate@v1\nexample.org/log\n{}\n",
        "hub-ledger/erasure-certificate@v1\nexample.org/log\nnone\n",
        "hub-ledger/erasure-certificate@v2\nexample.org/log\n{}\n",
    ],
)
def test_what_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises(CertificateError):
        Certificate.parse(text)


@pytest.mark.parametrize(
    "change",
    [
        {"form": "both"},
        {"issued_at": "today"},
        {"nonce": ""},
        {"tree_size": 0},
        {"leaves": ()},
        {"leaves": ((2, "00" * 32), (1, "00" * 32))},
        {"leaves": ((1, "00"),)},
        {"exports": {"taken": 1}},
        {"exports": {"taken": -1, "destroyed": 0}},
    ],
)
def test_a_malformed_statement_is_refused(made: Made, change: dict[str, Any]) -> None:
    certificate = _stated(made, made.subject)
    assert Certificate.parse(certificate.text) == certificate
    with pytest.raises(CertificateError):
        Certificate.parse(replace(certificate, **change).text)


def test_the_command(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = str(made.directory.path / "policy")
    file = tmp_path / "erasure.certificate"

    def run(command: str, members: Members, *more: str) -> int:
        with file.open("wb") as out:
            write_bundle(out, list(members.items()))
        return main([command, str(file), "--policy", policy, *more])

    assert run("certificate", made.controller, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["subject"]) == ("VERIFIED", "erasure certificate")
    lacking = {name: raw for name, raw in made.subject.items() if name != "checkpoint"}
    assert run("certificate", lacking) == 4
    assert run("certificate", {**made.subject, "checkpoint": b"junk\n"}) == 1
    # Mix-ups are told, and are no failures.
    for form in (made.controller, made.subject):
        assert run("bundle", form) == 2
        assert "check it with: ledger-verify certificate" in capsys.readouterr().err
    case = {name: raw for name, raw in made.controller.items() if name != CERTIFICATE}
    assert run("certificate", case) == 2
    assert "ledger-verify bundle" in capsys.readouterr().err
    file.write_bytes(b"PK\3\4cut short")
    assert main(["certificate", str(file), "--policy", policy]) == 1
    file.write_bytes(b"junk")
    assert main(["certificate", str(file), "--policy", policy]) == 2
    assert "is not an erasure certificate" in capsys.readouterr().err
    assert main(["certificate", str(tmp_path / "gone"), "--policy", policy]) == 2
