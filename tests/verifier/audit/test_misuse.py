"""Wrong files, wrong policies and other logs: said in plain words, and never taken for tampering;
while nothing that is tampered with is excused as a mistake."""

from dataclasses import replace
from pathlib import Path

import pytest

from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.audit.state import State
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.note import Ed25519Signer, Note
from ledger_verifier.formats.policy import Policy, PolicyLog

from .conftest import Verify
from .test_cli import CASE, SIZE, WORLD, as_object, called, good, trust
from .test_tampering import altered
from .world import TOKEN, change_entry, policy, serving, write_log

__all__ = ["good", "trust"]

OTHER = "ledger.test/other"
STRANGER = Ed25519Signer.generate(OTHER)
#: Somebody else's key under the name of the log.
IMPOSTOR = Ed25519Signer.generate("ledger.test/hub")


def of_another_log(size: int = SIZE, signer: Ed25519Signer = STRANGER) -> bytes:
    """A checkpoint of a log that the policy says nothing of."""
    text = Checkpoint(signer.key.name, size, WORLD.root(size)).text
    return Note(text, (signer.sign(text),)).encode()


def is_another_log(report: Report) -> None:
    assert report.verdict is Verdict.UNVERIFIABLE
    assert report.failures == ()
    (reason,) = report.lacking
    assert "is of the log ledger.test/other" in reason
    assert "the policy trusts ledger.test/hub" in reason
    assert report.shown == ()


def test_a_log_that_the_policy_does_not_name(verify: Verify) -> None:
    is_another_log(verify({**WORLD.members(), "checkpoint": of_another_log()}))


def test_a_case_bundle_of_a_log_that_the_policy_does_not_name(tmp_path: Path) -> None:
    parts = replace(WORLD.case(CASE), checkpoint=of_another_log())
    with parts.write(tmp_path / "case").open("rb") as file:
        is_another_log(verify_case(BundleReader(file), policy()))


def test_a_receipt_of_a_log_that_the_policy_does_not_name() -> None:
    receipt = WORLD.receipt(40)
    at = receipt.index(b"ledger.test/hub\n")
    report = verify_receipt(receipt[:at] + of_another_log(), WORLD.entries[40], policy())
    is_another_log(report)


def test_a_signature_under_the_logs_name_by_another_key(verify: Verify) -> None:
    """The policy may be an old one, or the checkpoint is forged: that is no mere mistake."""
    report = verify({**WORLD.members(), "checkpoint": of_another_log(signer=IMPOSTOR)})
    assert report.verdict is Verdict.FAILED
    assert "no signature by a trusted key" in report.failures[0].reason
    assert "compare the SHA-256 of the policy" in report.failures[0].reason


def test_another_name_over_a_signature_of_the_log(verify: Verify) -> None:
    """A checkpoint of the log whose origin was overwritten: a trusted key's line is false."""
    raw = WORLD.checkpoint().replace(b"ledger.test/hub\n", b"ledger.test/hut\n", 1)
    report = verify({**WORLD.members(), "checkpoint": raw})
    assert report.verdict is Verdict.FAILED
    assert "does not verify" in report.failures[0].reason


def test_an_earlier_checkpoint_of_another_log(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    path = tmp_path / "other"
    path.write_bytes(of_another_log())
    code, out, err = called(capsysbinary, "bundle", good, "--policy", trust, "--since", str(path))
    assert (code, out) == (2, "")
    assert "is of the log ledger.test/other" in err


def kinds(folder: Path) -> dict[str, str]:
    """A file of each kind there is, by what the verifier calls it."""
    contents = {
        "receipt": WORLD.receipt(40),
        "entry": WORLD.entries[40],
        "checkpoint": WORLD.checkpoint(),
        "policy": policy().encode(),
        "state file": b'{"format":"hub-ledger/verifier-state@v2","logs":{}}\n',
    }
    for name, raw in contents.items():
        (folder / name).write_bytes(raw)
    write_log(WORLD.members(), folder / "bundle")
    return {name: str(folder / name) for name in (*contents, "bundle")}


@pytest.mark.parametrize("kind", ["receipt", "entry", "checkpoint", "policy", "state file"])
def test_another_file_where_a_bundle_belongs(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path, kind: str
) -> None:
    path = kinds(tmp_path)[kind]
    code, out, err = called(capsysbinary, "bundle", path, "--policy", trust)
    assert (code, out) == (2, "")
    article = "an" if kind == "entry" else "a"
    assert f"{kind} is {article} {kind}, not a bundle: " in err


@pytest.mark.parametrize("kind", ["entry", "checkpoint", "policy", "state file", "bundle"])
def test_another_file_where_a_receipt_belongs(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path, kind: str
) -> None:
    files = kinds(tmp_path)
    given = ("receipt", files[kind], "--entry", files["entry"], "--policy", trust)
    code, out, err = called(capsysbinary, *given)
    assert (code, out) == (2, "")
    assert f"{kind}, not a receipt: " in err


@pytest.mark.parametrize("kind", ["checkpoint", "policy", "state file", "bundle"])
def test_another_file_where_an_entry_belongs(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path, kind: str
) -> None:
    files = kinds(tmp_path)
    given = ("receipt", files["receipt"], "--entry", files[kind], "--policy", trust)
    code, out, err = called(capsysbinary, *given)
    assert (code, out) == (2, "")
    assert f"{kind}, not an entry: " in err


def test_receipt_and_entry_swapped(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path
) -> None:
    files = kinds(tmp_path)
    given = ("receipt", files["entry"], "--entry", files["receipt"], "--policy", trust)
    code, out, err = called(capsysbinary, *given)
    assert (code, out) == (2, "")
    assert "the two files are swapped" in err


@pytest.mark.parametrize("raw", [b"", b"%PDF-1.7\n", b"<html>", "c2sp.org".encode("utf-16")])
def test_files_of_no_kind(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path, raw: bytes
) -> None:
    path, entry = tmp_path / "file", tmp_path / "entry"
    path.write_bytes(raw)
    entry.write_bytes(WORLD.entries[40])
    code, out, err = called(capsysbinary, "bundle", str(path), "--policy", trust)
    assert (code, out) == (2, "")
    assert "file is not a bundle: " in err
    assert "ask for it again" in err
    # A receipt is text, and so is an altered one: nothing tells it from another text.
    given = ("receipt", str(path), "--entry", str(entry), "--policy", trust)
    value = as_object(capsysbinary, *given)
    assert value["verdict"] == "UNVERIFIABLE"
    assert "file is not a receipt" in value["lacking"][0]


def test_a_bundle_that_was_cut_or_packed_again_is_no_mistake(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    raw = Path(good).read_bytes()
    for number, bad in enumerate((raw[:-1], raw + b"\0", raw[: len(raw) // 2])):
        path = tmp_path / str(number)
        path.write_bytes(bad)
        value = as_object(capsysbinary, "bundle", str(path), "--policy", trust)
        assert value["verdict"] == "FAILED"
        assert "ask for the file again" in value["failures"][0]["reason"]


def test_a_state_file_of_another_log_is_not_passed_over(
    capsysbinary: pytest.CaptureFixture[bytes], good: str, tmp_path: Path
) -> None:
    """Two logs in one policy: to show one in the place of the other is not VERIFIED."""
    both = Policy(
        (*policy().logs, PolicyLog(STRANGER.key)), policy().witnesses, policy().groups, "both"
    )
    path, state = tmp_path / "both", tmp_path / "state"
    path.write_bytes(both.encode())
    known = State()
    known.add(OTHER, of_another_log(7))
    known.save(state)
    before = state.read_bytes()
    given = ("--policy", str(path), "--state", str(state))
    for _ in range(2):
        value = as_object(capsysbinary, "bundle", good, *given)
        assert value["verdict"] == "UNVERIFIABLE"
        assert "state file of its own" in value["lacking"][0]
        assert OTHER in value["lacking"][0]
        assert state.read_bytes() == before
    case = str(WORLD.case(CASE).write(tmp_path / "case"))
    assert as_object(capsysbinary, "bundle", case, *given)["verdict"] == "UNVERIFIABLE"
    with serving(WORLD.members()) as server:
        live = ("log", server.url, "--token", TOKEN)
        assert as_object(capsysbinary, *live, *given)["verdict"] == "UNVERIFIABLE"
    assert state.read_bytes() == before


def damaged(members: dict[str, bytes]) -> dict[str, bytes]:
    change_entry(members, SIZE, 123, altered(WORLD.entries[123]))
    return members


@pytest.mark.parametrize("content", [b'{"format":"x"}', b"", b"nonsense"])
@pytest.mark.parametrize("name", ["manifest.json", "a", "entries/000000000123", "tile/x"])
def test_a_member_added_to_a_log_bundle_hides_nothing(
    capsysbinary: pytest.CaptureFixture[bytes],
    trust: str,
    tmp_path: Path,
    name: str,
    content: bytes,
) -> None:
    """With a manifest it must not pass for a case bundle of a format that is not known."""
    stray = f"{name} is no part of a log, yet it is in the bundle"
    path = write_log({**damaged(WORLD.members()), name: content}, tmp_path / "bad")
    value = as_object(capsysbinary, "bundle", str(path), "--policy", trust)
    assert (value["verdict"], value["subject"]) == ("FAILED", "log bundle")
    assert [f.get("position") for f in value["failures"]] == [123, None]
    assert value["failures"][1]["reason"] == stray
    path = write_log({**WORLD.members(), name: content}, tmp_path / "good")
    value = as_object(capsysbinary, "bundle", str(path), "--policy", trust)
    assert value["verdict"] == "FAILED"
    assert [f["reason"] for f in value["failures"]] == [stray]
    assert value["checked"]["entries"] == SIZE


def test_many_members_that_belong_to_no_log_are_one_failure(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path
) -> None:
    strays = {f"x{number:04d}": b"" for number in range(2000)}
    path = write_log({**damaged(WORLD.members()), **strays}, tmp_path / "bad")
    value = as_object(capsysbinary, "bundle", str(path), "--policy", trust)
    assert value["failure_count"] == 2
    assert value["failures"][0]["position"] == 123
    assert "x0000 is no part of a log" in value["failures"][1]["reason"]
    assert "1999 more such members" in value["failures"][1]["reason"]


def test_a_member_added_to_a_log_bundle_is_not_remembered_as_good(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    given = ("--policy", trust, "--state", str(tmp_path / "state"))
    path = str(write_log({**WORLD.members(), "manifest.json": b"{}"}, tmp_path / "bad"))
    assert as_object(capsysbinary, "bundle", path, *given)["verdict"] == "FAILED"
    assert not (tmp_path / "state").exists()
    assert as_object(capsysbinary, "bundle", good, *given)["verdict"] == "VERIFIED"
    assert as_object(capsysbinary, "bundle", path, *given)["verdict"] == "FAILED"


def test_a_case_bundle_with_a_tile_is_not_verified(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path
) -> None:
    with WORLD.case(CASE).write(tmp_path / "case").open("rb") as file:
        bundle = BundleReader(file)
        members = {name: bundle.read(name) for name in bundle}
    path = write_log({**members, "tile/0/000": b"x"}, tmp_path / "bad")
    value = as_object(capsysbinary, "bundle", str(path), "--policy", trust)
    assert value["verdict"] == "FAILED"


def prefixed(raw: bytes) -> dict[str, bytes]:
    """What begins as a file of another kind, or holds the marks of one, and goes on as itself."""
    signature = "\n\n\N{EM DASH} x AAAAAAAA\n".encode()
    return {
        "a signature": b"x" + raw[:50] + signature + raw[50:],
        "a signature at its end": b"x" + raw + signature,
        "a checkpoint before": WORLD.checkpoint() + raw,
        "a checkpoint after": b"x" + raw + b"\n" + WORLD.checkpoint(),
        "a policy's line": b"# x\nlog a\n" + raw,
        "a policy before": policy().encode() + raw,
        "a receipt before": WORLD.receipt(40) + raw,
        "a receipt's line": b"c2sp.org/tlog-proof@v1\n" + raw,
        "a bundle's mark": b"PK\3\4" + raw,
        "a state file's beginning": b'{"format":"hub-ledger/verifier-state@v2","logs":{}}' + raw,
        "a state file before": b'{"format":"hub-ledger/verifier-state@v2","logs":{}}\n' + raw,
    }


@pytest.mark.parametrize("how", prefixed(b""))
def test_an_altered_entry_is_no_file_of_another_kind(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path, how: str
) -> None:
    receipt, entry = tmp_path / "receipt", tmp_path / "entry"
    receipt.write_bytes(WORLD.receipt(40))
    entry.write_bytes(prefixed(WORLD.entries[40])[how])
    given = ("receipt", str(receipt), "--entry", str(entry), "--policy", trust)
    assert as_object(capsysbinary, *given)["verdict"] == "FAILED"


@pytest.mark.parametrize("old", [b"c2sp", b"org", b"index", b"\n", b"v1"])
def test_an_altered_receipt_is_no_file_of_another_kind(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path, old: bytes
) -> None:
    receipt, entry = tmp_path / "receipt", tmp_path / "entry"
    raw = WORLD.receipt(40)
    entry.write_bytes(WORLD.entries[40])
    for bad in (raw.replace(old, old.swapcase() + b" ", 1), raw.replace(old, b"", 1)):
        receipt.write_bytes(bad)
        given = ("receipt", str(receipt), "--entry", str(entry), "--policy", trust)
        assert as_object(capsysbinary, *given)["verdict"] in ("FAILED", "UNVERIFIABLE")


@pytest.mark.parametrize("start", [b"Q", b"", b"# x\nlog a\nP", b"{", b"c2sp.org/tlog-proof@v1\nP"])
def test_an_altered_bundle_is_no_file_of_another_kind(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path, start: bytes
) -> None:
    path = tmp_path / "bad"
    path.write_bytes(start + Path(good).read_bytes()[1:])
    value = as_object(capsysbinary, "bundle", str(path), "--policy", trust)
    assert value["verdict"] == "UNVERIFIABLE"
    assert "bad is not a bundle" in value["lacking"][0]
