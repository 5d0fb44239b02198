"""Reports to look at: one of each verdict, made by the verifier, and one full of hostile text."""

from dataclasses import replace
from pathlib import Path

from ledger_verifier.audit.report.model import Failure, Report, SignatureFact
from ledger_verifier.formats.merkle import leaf_hashes, root_of
from tests.verifier.audit.conftest import run
from tests.verifier.audit.test_tampering import altered
from tests.verifier.audit.world import World, change_cell, change_entry, sign

SIZE = 600
EARLY = 300
#: Markup, a terminal's code, a turn of direction, a zero byte, a word with no place to break.
HOSTILE = "<script>x=1</script>\"'&<!--\x1b[31m\u202etxt.exe\x00" + "A" * 400


def all_verdicts(folder: Path) -> dict[str, Report]:
    """A report of each verdict, by its name, and `HOSTILE`."""
    world = World(seed=7).fill(SIZE, streams=5)
    early = sign(EARLY, root_of(leaf_hashes(world.entries[:EARLY])))
    late = sign(SIZE + 100, bytes(32))
    good, alone, bad = world.members(), world.members(), world.members()
    alone["checkpoint"] = sign(SIZE, root_of(leaf_hashes(world.entries)), witnessed=False)
    for position in (EARLY + 23, EARLY + 24, 555):
        change_entry(bad, SIZE, position, altered(world.entries[position]))
    change_cell(bad, "tile/0/000", 9)
    failed = run(bad, "bundle", folder, since=(early,))
    return {
        "VERIFIED": run(good, "bundle", folder, since=(early,), subject="log bundle"),
        "UNWITNESSED": run(alone, "bundle", folder),
        "UNVERIFIABLE": run(good, "bundle", folder, since=(late,)),
        "FAILED": failed,
        "HOSTILE": hostile(failed),
    }


def hostile(report: Report) -> Report:
    """The report with hostile text wherever text can come from outside."""
    assert report.checkpoint is not None
    signature = SignatureFact(HOSTILE, "witness", HOSTILE, 2**70)
    return replace(
        report,
        subject=HOSTILE,
        failures=(
            Failure(HOSTILE, 5, HOSTILE, HOSTILE, HOSTILE),
            Failure("x" * 3000, 10**30),
            Failure(HOSTILE, tile="tile/1/000.p/2"),
            Failure(HOSTILE),
        ),
        failure_count=1_234_567,
        lacking=(HOSTILE,),
        not_assessed=(HOSTILE,),
        conduct=({"rule": HOSTILE, "position": 4},),
        evidence=(f"{HOSTILE}\n\n\u2014 {HOSTILE} AAAA\n",),
        checked={HOSTILE: 1},
        checkpoint=replace(
            report.checkpoint, origin=HOSTILE, quorum=HOSTILE, signatures=(signature,)
        ),
    )
