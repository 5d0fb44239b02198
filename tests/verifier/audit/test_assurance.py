"""The standing finding of a whole log: read at once, gone on with, shared out, or not to be had."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger_verifier import cli
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.audit.state import State
from ledger_verifier.meaning.assurance import NEEDED, NOT_COVERED

from .conftest import run
from .world import SHA, World, change_entry, policy, write_log

OPEN = {
    "assessment.approved": {
        "assessment_kind": "code:data-protection-impact-assessment|equality-impact-assessment"
        "|appropriate-policy-document",
        "scope": "code[]:concern-hub|ledger",
        "every_hub": "flag",
        "effective_from": "date",
        "review_due": "date",
    },
    "agreement.registered": {
        "agreement_kind": "code:joint-controller-arrangement",
        "scope": "code[]:concern-hub|ledger",
        "effective_from": "date",
        "review_due": "date",
    },
    "event.corrected": {"corrected_event": "uuid"},
}


class Covered(World):
    """A log that records what covers it, among other entries."""

    def types(self) -> None:
        for name, fields in OPEN.items():
            data = {
                "type": name,
                "schema": 1,
                "streams": ["agreement", "assessment"],
                "occurred": "instant",
                "recipient": False,
                "open": fields,
                "sealed": {},
                "json_schema_sha256": SHA,
            }
            self.ledger("schema.registered", data)

    def document(self, kind: str, stream: str | None = None) -> int:
        agreed = kind.startswith("joint")
        where = "agreement" if agreed else "assessment"
        data: dict[str, Any] = {
            "agreement_kind" if agreed else "assessment_kind": kind,
            "scope": ["ledger"],
            "effective_from": "2026-01-01",
            "review_due": "2099-01-01",
        }
        name = "agreement.registered"
        if not agreed:
            data["every_hub"], name = True, "assessment.approved"
        return self.append(self.draft(name, stream or f"{where}/{self.uuid()}", data))


def logged(size: int, *, without: str = "", at: int = 0) -> Covered:
    """A log of that size whose documents are from position `at` on, but for one."""
    world = Covered(seed=11)
    world.open()
    world.types()
    world.fill(max(at, len(world.entries)))
    for kind in NEEDED:
        if kind != without:
            world.document(kind)
    world.fill(size)
    return world


def rules(report: Any) -> list[object]:
    return [(one["rule"], one["documents"]) for one in report.conduct]


@pytest.mark.parametrize("at", [0, 300, 595])
@pytest.mark.parametrize("kind", ["", *NEEDED])
def test_it_is_found_wherever_the_documents_are(tmp_path: Path, at: int, kind: str) -> None:
    report = run(logged(600, without=kind, at=at).members(), "bundle", tmp_path)
    assert report.verdict is Verdict.VERIFIED
    assert rules(report) == ([(NOT_COVERED, [kind])] if kind else [])
    assert not any("own processing" in line for line in report.not_assessed)


def test_it_is_the_same_shared_out_and_looked_into(tmp_path: Path) -> None:
    members = logged(600, without="equality-impact-assessment", at=300).members()
    plain = run(members, "http", tmp_path)
    assert rules(plain)
    for options in ({"unique": True}, {"jobs": 2}):
        assert run(members, "http", tmp_path, **options).conduct == plain.conduct


def test_a_run_that_goes_on_remembers_what_it_need_not_read_again(tmp_path: Path) -> None:
    whole, state = logged(900, at=300), State()
    first, second = World(), World()
    first.entries, second.entries = whole.entries[:600], whole.entries
    assert rules(run(first.members(), "bundle", tmp_path, state=state)) == []
    path = tmp_path / "state"
    state.save(path)
    again = State.load(path)
    report = run(second.members(), "bundle", tmp_path, state=again, since=(first.checkpoint(),))
    assert report.checked["entries_before"] == 600
    assert rules(report) == []


def test_what_went_before_is_corrected_after_it(tmp_path: Path) -> None:
    world, state = logged(600, at=300), State()
    run(world.members(), "bundle", tmp_path, state=state)
    early = world.checkpoint()
    place = next(n for n, raw in enumerate(world.entries) if b"equality-impact" in raw and n > 9)
    entry = json.loads(world.entries[place])
    stream = f"assessment/{entry['stream']['id']}"
    world.append(world.draft("event.corrected", stream, {"corrected_event": entry["id"]}))
    report = run(world.members(), "bundle", tmp_path, state=state, since=(early,))
    assert report.checked["entries_before"] == 600
    assert rules(report) == [(NOT_COVERED, ["equality-impact-assessment"])]


def test_of_a_log_that_does_not_hold_together_nothing_is_found(tmp_path: Path) -> None:
    world = logged(600, at=300)
    members = world.members()
    raw = world.entries[450]
    change_entry(members, 600, 450, raw.replace(b'"support"', b'"safeguarding"'))
    report = run(members, "bundle", tmp_path)
    assert report.verdict is Verdict.FAILED
    assert report.conduct == ()
    assert any("own processing" in line for line in report.not_assessed)


def test_the_command_prints_it_and_fails_where_it_is_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = tmp_path / "policy"
    trust.write_bytes(policy().encode())
    for without, code in (("equality-impact-assessment", 1), ("", 0)):
        file = write_log(logged(300, without=without).members(), tmp_path / f"{code}.bundle")
        given = ["bundle", str(file), "--policy", str(trust)]
        assert cli.main(given) == 0
        plain = capsys.readouterr().out
        assert ("critical: The ledger's own processing is not covered" in plain) == bool(code)
        assert cli.main([*given, "--conduct-fails"]) == code
        strict = capsys.readouterr().out
        assert strict.startswith("FAILED" if code else "VERIFIED")
        assert ("conduct: The ledger's own processing" in strict) == bool(code)
        page = tmp_path / f"{code}.html"
        assert cli.main([*given, "--html", str(page)]) == 0
        capsys.readouterr()
        assert ("equality-impact-assessment" in page.read_text("utf-8")) == bool(code)
