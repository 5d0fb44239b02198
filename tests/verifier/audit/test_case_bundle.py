"""Case bundles: one stream's entries, each proved, with some of their fields opened."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.audit.state import State
from ledger_verifier.audit.trust import earlier_checkpoint
from ledger_verifier.formats.bundle import (
    BundleReader,
    disclosures_name,
    encode_disclosures,
    encode_proof,
    entry_name,
    proof_name,
    write_bundle,
)
from ledger_verifier.formats.disclosure import Disclosure

from ..formats.hostile import mutants
from .test_tampering import altered
from .world import CaseParts, World, policy, sign

WORLD = World(seed=9).fill(60, streams=4)
STREAM = next(name for name in WORLD.heads if name.startswith("case/"))

Parts = dict[str, bytes]


def parts() -> CaseParts:
    return WORLD.case(STREAM)


def members(case: CaseParts | None = None) -> Parts:
    """The members of the good case bundle, to be altered."""
    case = case or parts()
    found = {"manifest.json": case.manifest.encode(), "checkpoint": case.checkpoint}
    for place, (raw, proof) in case.entries.items():
        found[entry_name(place)] = raw
        found[proof_name(place)] = encode_proof(proof)
    for place, texts in case.opened.items():
        found[disclosures_name(place)] = encode_disclosures(texts)
    return found


def check(given: Parts, **options: Any) -> Report:
    file = io.BytesIO()
    write_bundle(file, given.items())
    return verify_case(BundleReader(file), options.pop("trust", policy()), **options)


PLACES = parts().manifest.positions


def test_a_good_case_bundle(tmp_path: Path) -> None:
    path = parts().write(tmp_path / "case.bundle")
    with path.open("rb") as file:
        report = verify_case(BundleReader(file), policy())
    assert report.verdict is Verdict.VERIFIED
    assert report.checked["entries"] == len(PLACES) + 3
    assert report.checked["proofs"] == len(PLACES) + 3
    assert report.checked["disclosures"] == 2 * len(PLACES)
    assert any("stream is whole" in line for line in report.not_shown)
    assert any("uniqueness" in line for line in report.not_assessed)
    assert report.tree_size == 60


def test_a_case_bundle_without_opened_fields() -> None:
    report = check(members(replace(parts(), opened={})))
    assert report.verdict is Verdict.VERIFIED
    assert "disclosures" not in report.checked


def test_a_case_bundle_may_end_early_and_says_so() -> None:
    """The last entry withheld: nothing in the bundle can tell, so the report always says it."""
    case = parts()
    kept = case.manifest.positions[:-1]
    del case.entries[PLACES[-1]], case.opened[PLACES[-1]]
    report = check(members(replace(case, manifest=replace(case.manifest, positions=kept))))
    assert report.verdict is Verdict.VERIFIED
    assert any("stream is whole" in line for line in report.not_shown)


def withhold(place: int) -> Parts:
    """A bundle whose manifest does not mention one of the entries."""
    case = parts()
    kept = tuple(p for p in case.manifest.positions if p != place)
    del case.entries[place], case.opened[place]
    return members(replace(case, manifest=replace(case.manifest, positions=kept)))


def test_an_entry_withheld_from_the_middle() -> None:
    report = check(withhold(PLACES[3]))
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == PLACES[4]
    assert report.failures[0].field == "stream.version"


def test_the_first_entry_withheld() -> None:
    report = check(withhold(PLACES[0]))
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == PLACES[1]


def alter(name: str, change: Callable[[bytes], bytes]) -> Parts:
    found = members()
    found[name] = change(found[name])
    return found


@pytest.mark.parametrize("place", [0, 1, PLACES[0], PLACES[2], PLACES[-1]])
def test_an_entry_changed(place: int) -> None:
    def change(raw: bytes) -> bytes:
        if b'"times":' in raw:
            return altered(raw)
        return raw.replace(b'"nonce":"', b'"nonce":"x')

    report = check(alter(entry_name(place), change))
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == place


def test_two_entries_swapped() -> None:
    found = members()
    one, two = entry_name(PLACES[1]), entry_name(PLACES[2])
    found[one], found[two] = found[two], found[one]
    report = check(found)
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == PLACES[1]


def test_an_entry_of_another_case() -> None:
    other = next(name for name in WORLD.heads if name.startswith("case/") and name != STREAM)
    mine, theirs = parts(), WORLD.case(other)
    place = theirs.manifest.positions[0]
    manifest = replace(mine.manifest, positions=tuple(sorted({*PLACES, place})))
    entries = {**mine.entries, place: theirs.entries[place]}
    report = check(members(replace(mine, manifest=manifest, entries=entries)))
    assert report.verdict is Verdict.FAILED
    assert (report.failures[0].position, report.failures[0].field) == (place, "stream")


def test_an_entry_passed_off_as_a_registration() -> None:
    case = parts()
    manifest = replace(
        case.manifest,
        positions=PLACES[1:],
        registrations=(*case.manifest.registrations, PLACES[0]),
    )
    report = check(members(replace(case, manifest=manifest)))
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == PLACES[0]


def test_a_registration_left_out() -> None:
    case = parts()
    manifest = replace(case.manifest, registrations=(0, 2))
    del case.entries[1]
    report = check(members(replace(case, manifest=manifest)))
    assert report.verdict is Verdict.FAILED
    assert (report.failures[0].position, report.failures[0].field) == (PLACES[0], "type")


def test_a_registration_that_is_not_needed_may_be_left_out() -> None:
    case = parts()
    manifest = replace(case.manifest, registrations=(0, 1))
    del case.entries[2]
    assert check(members(replace(case, manifest=manifest))).verdict is Verdict.VERIFIED


def test_entry_zero_left_out() -> None:
    case = parts()
    manifest = replace(case.manifest, registrations=(1, 2))
    del case.entries[0]
    report = check(members(replace(case, manifest=manifest)))
    assert report.verdict is Verdict.UNVERIFIABLE


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-45],
        lambda raw: raw + raw[:45],
        lambda raw: raw[45:] + raw[:45],
        lambda raw: b"A" + raw[1:] if raw[:1] != b"A" else b"B" + raw[1:],
        lambda raw: raw[:-1],
        lambda raw: b"not a proof",
        lambda raw: b"",
    ],
)
def test_a_proof_changed(change: Callable[[bytes], bytes]) -> None:
    report = check(alter(proof_name(PLACES[2]), change))
    assert report.verdict is Verdict.FAILED
    assert [f.position for f in report.failures] == [PLACES[2]]


def move_disclosure(found: Parts) -> None:
    one, two = disclosures_name(PLACES[0]), disclosures_name(PLACES[1])
    found[two] = found[two] + found[one].split(b"\n")[0] + b"\n"


def repeat_disclosure(found: Parts) -> None:
    name = disclosures_name(PLACES[1])
    found[name] = found[name] + found[name].split(b"\n")[0] + b"\n"


def invent_disclosure(found: Parts) -> None:
    found[disclosures_name(PLACES[1])] = encode_disclosures([Disclosure.make("name", "x").text])


def break_disclosure(found: Parts) -> None:
    found[disclosures_name(PLACES[1])] = b"!!!\n"


def open_a_registration(found: Parts) -> None:
    found[disclosures_name(0)] = encode_disclosures([Disclosure.make("name", "x").text])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (move_disclosure, PLACES[1]),
        (repeat_disclosure, PLACES[1]),
        (invent_disclosure, PLACES[1]),
        (break_disclosure, PLACES[1]),
        (open_a_registration, 0),
    ],
)
def test_an_opened_field_that_the_entry_does_not_commit_to(
    change: Callable[[Parts], None], place: int
) -> None:
    found = members()
    change(found)
    report = check(found)
    assert report.verdict is Verdict.FAILED
    assert [(f.position, f.field) for f in report.failures] == [(place, "data._sd")]
    assert not any("Ada" in f.reason for f in report.failures)


def test_a_field_opened_under_a_name_that_its_type_does_not_seal() -> None:
    world = World(seed=9).fill(20, streams=1)
    stream = next(name for name in world.heads if name.startswith("case/"))
    entry = world.note(stream)
    opened = [world.disclose("name", "a"), world.disclose("shoe_size", "b")]
    entry["data"]["_sd"] = sorted(d.digest for d in opened)
    world.append(entry)
    world.opened[20] = opened
    report = check(members(world.case(stream)))
    assert report.verdict is Verdict.FAILED
    assert "does not seal" in report.failures[0].reason


@pytest.mark.parametrize("name", [entry_name(PLACES[1]), proof_name(PLACES[1]), "checkpoint"])
def test_a_member_is_missing(name: str) -> None:
    found = members()
    del found[name]
    report = check(found)
    assert report.verdict is Verdict.UNVERIFIABLE
    assert name in report.lacking[0]


def test_a_member_too_many() -> None:
    report = check({**members(), "entries/000000000059x": b"{}", "readme": b"trust me"})
    assert report.verdict is Verdict.FAILED
    assert report.failure_count == 2


def test_a_newer_manifest() -> None:
    report = check(alter("manifest.json", lambda raw: raw.replace(b"bundle@v1", b"bundle@v7")))
    assert report.verdict is Verdict.UNVERIFIABLE


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"{}",
        lambda raw: raw.replace(b"ledger.test/hub", b"ledger.test/hut"),
        lambda raw: raw.replace(b'"tree_size":60', b'"tree_size":61'),
        lambda raw: raw + b" ",
    ],
)
def test_a_manifest_that_is_wrong(change: Callable[[bytes], bytes]) -> None:
    assert check(alter("manifest.json", change)).verdict is Verdict.FAILED


def test_a_checkpoint_of_another_tree() -> None:
    report = check({**members(), "checkpoint": sign(60, bytes(32))})
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == 0


def test_witnesses() -> None:
    report = check(members(WORLD.case(STREAM, witnessed=False)))
    assert report.verdict is Verdict.UNWITNESSED
    issued = check(members(WORLD.case(STREAM, witnessed=False, mldsa=False)))
    assert issued.verdict is Verdict.UNWITNESSED
    assert any("ML-DSA-44" in line for line in issued.not_assessed)
    assert check(members(WORLD.case(STREAM, mldsa=False))).verdict is Verdict.FAILED


def test_a_newer_entry_format() -> None:
    world = World(seed=9).fill(20, streams=1)
    stream = next(name for name in world.heads if name.startswith("case/"))
    entry = world.note(stream)
    raw = altered(world.entries[-1]).replace(b"entry@v1", b"entry@v2")
    world.append_raw(raw)
    world.opened[20] = []
    assert entry
    report = check(members(world.case(stream)))
    assert report.verdict is Verdict.UNVERIFIABLE


def test_earlier_checkpoints() -> None:
    trust = policy()
    same = earlier_checkpoint(WORLD.checkpoint(60), trust, "the same")
    other = earlier_checkpoint(sign(60, bytes(32)), trust, "another")
    smaller = earlier_checkpoint(WORLD.checkpoint(30), trust, "a smaller one")
    assert check(members(), earlier=[same]).verdict is Verdict.VERIFIED
    assert check(members(), earlier=[other]).verdict is Verdict.FAILED
    assert check(members(), earlier=[smaller]).verdict is Verdict.UNVERIFIABLE
    report = check(members(), remembered=[smaller, same])
    assert report.verdict is Verdict.VERIFIED
    assert any("a smaller one" in line for line in report.not_assessed)


def test_state() -> None:
    state, found = State(), members()
    check(found, state=state)
    assert state.checkpoints() == [found["checkpoint"]]


GOOD = members()


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_alteration_goes_unnoticed(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(set(GOOD) - {"checkpoint"})))
    raw = data.draw(mutants(GOOD[name]))
    report = check({**GOOD, name: raw})
    if raw == GOOD[name]:
        assert report.verdict is Verdict.VERIFIED
    elif name.startswith("disclosures/"):
        # Leaving an opened field out is nobody's lie.
        lines = set(raw.split(b"\n")) <= set(GOOD[name].split(b"\n"))
        assert report.verdict is Verdict.FAILED or lines
    elif name == "manifest.json":
        # Leaving out the last entry, or a registration that is not needed, is a smaller bundle,
        # but its entries are then members that the manifest does not list.
        assert report.verdict in (Verdict.FAILED, Verdict.UNVERIFIABLE)
    else:
        assert report.verdict in (Verdict.FAILED, Verdict.UNVERIFIABLE)
