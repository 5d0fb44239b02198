"""A log held against signed checkpoints of its past, on one run and from run to run."""

from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.readers.http import HttpLogReader
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.audit.state import State, StateError
from ledger_verifier.audit.trust import earlier_checkpoint
from ledger_verifier.formats.note import Ed25519Signer, Note
from ledger_verifier.formats.policy import Policy, PolicyLog

from .conftest import Verify
from .test_tampering import altered
from .world import TOKEN, Reply, World, policy, serving, sign, tree_members


def rewritten(world: World, position: int = 300) -> World:
    """The log as its operator might rewrite it: one entry changed, everything signed anew, and
    the chain of its stream repaired."""
    other = World(entries=list(world.entries))
    other.entries[position] = altered(other.entries[position])
    return other


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 300, 511, 512, 513, 599, 600])
def test_a_log_continues_its_earlier_checkpoints(
    verify: Verify, members: dict[str, bytes], world: World, size: int
) -> None:
    report = verify(members, since=(world.checkpoint(size),))
    assert report.verdict is Verdict.VERIFIED
    assert report.checked["earlier_checkpoints"] == 1


def test_many_earlier_checkpoints_at_once(
    over_bundle: Verify, members: dict[str, bytes], world: World
) -> None:
    since = tuple(world.checkpoint(size) for size in (600, 3, 256, 256, 400, 17))
    report = over_bundle(members, since=since)
    assert report.verdict is Verdict.VERIFIED
    assert report.checked["earlier_checkpoints"] == 6


def test_a_receipt_serves_as_an_earlier_checkpoint(
    verify: Verify, members: dict[str, bytes], world: World
) -> None:
    report = verify(members, since=(world.receipt(10, 44),))
    assert report.verdict is Verdict.VERIFIED
    assert report.checked["earlier_checkpoints"] == 1


def test_a_tree_rewritten_and_signed_again_with_the_real_key(verify: Verify, world: World) -> None:
    """Without an earlier checkpoint only the stream's own chain can tell; with one, the tree
    does, and both signatures of the log are kept as evidence."""
    forged = rewritten(world, position=599).members()
    assert verify(forged).verdict is Verdict.VERIFIED
    report = verify(forged, since=(world.checkpoint(),))
    assert report.verdict is Verdict.FAILED
    assert "two signed checkpoints of size 600" in report.failures[0].reason
    assert len(report.evidence) == 2


def test_a_rewritten_tree_that_has_grown_since(verify: Verify, world: World) -> None:
    forged = rewritten(world, position=520)
    forged.heads = dict(world.heads)
    forged.fill(640)
    early, late = world.checkpoint(515), world.checkpoint(599)
    report = verify(forged.members(), since=(late, early))
    assert report.verdict is Verdict.FAILED
    reasons = " ".join(failure.reason for failure in report.failures)
    assert "the first 599 entries are not those of since-0" in reasons
    assert "the first 515 are those of since-1" in reasons
    assert "the first 515 entries are those of since-1" in report.provable
    assert late.decode() in report.evidence


def test_two_checkpoints_of_one_size(
    over_bundle: Verify, members: dict[str, bytes], world: World
) -> None:
    """Both shown to the auditor earlier, and neither is the one served now."""
    one, two = world.checkpoint(400), sign(400, bytes(32))
    report = over_bundle(members, since=(one, two))
    assert report.verdict is Verdict.FAILED
    assert any("two signed checkpoints of size 400" in f.reason for f in report.failures)
    assert {one.decode(), two.decode()} <= set(report.evidence)


def test_two_larger_checkpoints_of_one_size(over_bundle: Verify, members: dict[str, bytes]) -> None:
    report = over_bundle(members, since=(sign(900, bytes(32)), sign(900, b"\1" * 32)))
    assert report.verdict is Verdict.FAILED


def test_a_bundle_older_than_the_checkpoint(over_bundle: Verify, world: World) -> None:
    old = World(entries=world.entries[:500])
    report = over_bundle(old.members(), since=(world.checkpoint(),))
    assert report.verdict is Verdict.UNVERIFIABLE
    assert "500 entries" in report.lacking[0]
    assert "600" in report.lacking[0]


def test_another_log(verify: Verify, members: dict[str, bytes]) -> None:
    """The whole log replaced by one under another origin that the policy trusts as well."""
    signer = Ed25519Signer.generate("ledger.test/other")
    text = f"ledger.test/other\n7\n{'A' * 43}=\n"
    raw = Note(text, (signer.sign(text),)).encode()
    trust = policy()
    both = Policy((*trust.logs, PolicyLog(signer.key)), trust.witnesses, trust.groups, "both")
    known = earlier_checkpoint(raw, both, "the other log's")
    with serving(members) as server:
        http = HttpLogReader(server.url, TOKEN)
        report = verify_log(http, both, earlier=[known], options=Options(wait=0.0))
        remembered = verify_log(http, both, remembered=[known], options=Options(wait=0.0))
        http.close()
    assert report.verdict is Verdict.UNVERIFIABLE
    assert "this is the log ledger.test/hub" in report.lacking[0]
    assert remembered.verdict is Verdict.VERIFIED


@dataclass
class Clock:
    """A clock that only moves when someone sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_live_log_is_given_a_minute_to_show_what_it_has_signed(world: World) -> None:
    old = World(entries=world.entries[:500])
    clock = Clock()
    known = earlier_checkpoint(world.receipt(550), policy(), "the receipt")
    with serving(old.members()) as server:
        http = HttpLogReader(server.url, TOKEN)
        report = verify_log(
            http, policy(), earlier=[known], options=Options(clock=clock, sleep=clock.sleep)
        )
        http.close()
    assert sum(clock.slept) == 60.0
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == 500
    assert "tail is cut off or withheld" in report.failures[0].reason
    assert len(report.evidence) == 2


def test_a_live_log_that_catches_up_is_verified(world: World) -> None:
    clock = Clock()
    known = earlier_checkpoint(world.receipt(550), policy(), "the receipt")
    with serving(world.members()) as server:
        server.checkpoints = [world.checkpoint(500)] * 2
        http = HttpLogReader(server.url, TOKEN)
        report = verify_log(
            http, policy(), earlier=[known], options=Options(clock=clock, sleep=clock.sleep)
        )
        http.close()
    assert report.verdict is Verdict.VERIFIED
    assert len(clock.slept) == 2
    assert report.checked["earlier_checkpoints"] == 2


@pytest.mark.parametrize("silent", [{1}, {1, 2, 3}, {29}, set(range(1, 31))])
def test_errors_while_a_log_is_waited_for_do_not_end_the_wait(
    world: World, silent: set[int]
) -> None:
    """To answer with an error now and then is no way out of showing what was signed."""
    clock = Clock()
    known = earlier_checkpoint(world.receipt(550), policy(), "the receipt")
    with serving(World(entries=world.entries[:500]).members()) as server:

        def sleep(seconds: float) -> None:
            clock.sleep(seconds)
            server.replies.pop("checkpoint", None)
            if len(clock.slept) in silent:
                server.replies["checkpoint"] = Reply(503)

        http = HttpLogReader(server.url, TOKEN)
        report = verify_log(
            http, policy(), earlier=[known], options=Options(clock=clock, sleep=sleep)
        )
        http.close()
    assert report.verdict is Verdict.FAILED
    assert [f.position for f in report.failures] == [500]
    assert "tail is cut off or withheld" in report.failures[0].reason
    assert len(report.evidence) == 2
    assert report.lacking[0].startswith("while the log was waited for: checkpoint: ")
    assert sum(clock.slept) == 60.0


def test_a_log_that_catches_up_after_an_error(world: World) -> None:
    clock = Clock()
    known = earlier_checkpoint(world.receipt(550), policy(), "the receipt")
    with serving(world.members()) as server:
        server.checkpoints = [world.checkpoint(500)]

        def sleep(seconds: float) -> None:
            clock.sleep(seconds)
            server.replies.pop("checkpoint", None)
            if len(clock.slept) < 3:
                server.replies["checkpoint"] = Reply(503)

        http = HttpLogReader(server.url, TOKEN)
        report = verify_log(
            http, policy(), earlier=[known], options=Options(clock=clock, sleep=sleep)
        )
        http.close()
    assert (report.verdict, report.lacking) == (Verdict.VERIFIED, ())
    assert len(clock.slept) == 3


def test_a_false_checkpoint_while_a_log_is_waited_for_is_told_once(world: World) -> None:
    """It counts, though the log catches up in the end."""
    clock = Clock()
    known = earlier_checkpoint(world.receipt(550), policy(), "the receipt")
    false = world.checkpoint(550).replace(b"\n550\n", b"\n560\n")
    with serving(world.members()) as server:
        server.checkpoints = [world.checkpoint(500), false, false]
        http = HttpLogReader(server.url, TOKEN)
        report = verify_log(
            http, policy(), earlier=[known], options=Options(clock=clock, sleep=clock.sleep)
        )
        http.close()
    assert report.verdict is Verdict.FAILED
    assert len(clock.slept) == 3
    (failure,) = report.failures
    assert "does not verify" in failure.reason
    assert report.tree_size == 600


def test_a_log_that_catches_up_with_another_tree(world: World) -> None:
    """What it showed while it was waited for binds it too."""
    clock = Clock()
    known = earlier_checkpoint(world.receipt(599), policy(), "the receipt")
    with serving(world.members()) as server:
        server.checkpoints = [sign(500, bytes(32))]
        http = HttpLogReader(server.url, TOKEN)
        report = verify_log(
            http, policy(), earlier=[known], options=Options(clock=clock, sleep=clock.sleep)
        )
        http.close()
    assert report.verdict is Verdict.FAILED
    assert "the first 500 entries are not those" in report.failures[0].reason


def test_witnesses(verify: Verify, world: World) -> None:
    alone = world.members(witnessed=False)
    report = verify(alone)
    assert report.verdict is Verdict.UNWITNESSED
    assert "controller's word" in report.shown[0]
    assert verify(alone, quorum=None).verdict is Verdict.VERIFIED


def test_a_log_key_that_did_not_sign(over_bundle: Verify, over_http: Verify, world: World) -> None:
    """A published checkpoint carries both of the log's signatures; one issued with a receipt does
    not, and may be what a bundle holds."""
    issued = world.members(mldsa=False, witnessed=False)
    report = over_bundle(issued)
    assert report.verdict is Verdict.UNWITNESSED
    assert any("ML-DSA-44" in line for line in report.not_assessed)
    published = world.members(mldsa=False)
    for failed in (
        over_bundle(issued, every_log_key=True),
        over_bundle(published),
        over_http(published),
        over_http(issued),
    ):
        assert failed.verdict is Verdict.FAILED
        assert [f.reason for f in failed.failures] == [
            "the checkpoint has no ML-DSA-44 cosignature by the log's own key in the policy, as "
            "every published checkpoint has"
        ]


def test_state_is_kept_unless_the_log_failed(
    over_bundle: Verify, members: dict[str, bytes], world: World, tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    state = State.load(path)
    assert over_bundle(members, state=state).verdict is Verdict.VERIFIED
    assert state.changed
    state.save(path)
    again = State.load(path)
    assert again.checkpoints() == [members["checkpoint"]]
    over_bundle(members, state=again)
    assert not again.changed
    bad = {**tree_members(world.entries[:300]), "checkpoint": sign(300, bytes(32))}
    assert over_bundle(bad, state=again).verdict is Verdict.FAILED
    assert not again.changed


def test_a_state_file_of_version_1_is_read_and_what_is_unknown_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.json"

    def content(version: int, **logs: list[str]) -> dict[str, object]:
        known = {origin: {"checkpoints": checkpoints} for origin, checkpoints in logs.items()}
        form = f"hub-ledger/verifier-state@v{version}"
        return {"format": form, "logs": known, "extra": 1}

    path.write_bytes(orjson.dumps(content(1, a=["x"])))
    state = State.load(path)
    state.add("a", b"y")
    state.add("b", b"z")
    state.save(path)
    assert orjson.loads(path.read_bytes()) == content(2, a=["x", "y"], b=["z"])
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":"hub-ledger/verifier-state@v3","logs":{}}',
        b'{"format":"hub-ledger/verifier-state@v1"}',
        b'{"format":"hub-ledger/verifier-state@v1","logs":{"a":{}}}',
        b'{"format":"hub-ledger/verifier-state@v1","logs":{"a":{"checkpoints":[1]}}}',
    ],
)
def test_a_state_file_that_is_none(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(raw)
    with pytest.raises(StateError):
        State.load(path)


def test_a_state_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    target.mkdir()
    state = State()
    state.add("a", b"x")
    with pytest.raises(StateError):
        state.save(target)
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]
    with pytest.raises(StateError):
        State.load(target)
