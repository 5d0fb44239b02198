"""The command as an auditor runs it: exit codes, one JSON object, state, saved bundles."""

import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ledger_verifier import cli
from ledger_verifier.audit.identity import source_sha256
from ledger_verifier.formats.bundle import BundleReader

from .test_tampering import altered
from .world import TOKEN, World, change_entry, policy, serving, sign, write_log

SIZE = 300
WORLD = World(seed=7).fill(SIZE, streams=5)
CASE = next(name for name in WORLD.heads if name.startswith("case/"))


@pytest.fixture
def trust(tmp_path: Path) -> str:
    """A policy file that asks for two witnesses."""
    path = tmp_path / "policy"
    path.write_bytes(policy().encode())
    return str(path)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return str(write_log(WORLD.members(), tmp_path / "good.bundle"))


@pytest.fixture
def bad(tmp_path: Path) -> str:
    members = WORLD.members()
    change_entry(members, SIZE, 123, altered(WORLD.entries[123]))
    return str(write_log(members, tmp_path / "bad.bundle"))


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ledger_verifier", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "200", **(env or {})},
    )


def called(capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, str, str]:
    """The command within this process: exit code, standard output and standard error."""
    code = cli.main(arguments)
    out, err = capsysbinary.readouterr()
    return code, out.decode(), err.decode()


def as_object(capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> dict[str, Any]:
    code, out, err = called(capsysbinary, *arguments, "--json")
    value: dict[str, Any] = json.loads(out)
    exits = {"VERIFIED": 0, "UNWITNESSED": 3, "UNVERIFIABLE": 4, "FAILED": 1}
    assert code == exits[value["verdict"]]
    assert err == ""
    return value


def test_a_verified_bundle(trust: str, good: str) -> None:
    result = run("bundle", good, "--policy", trust)
    assert result.returncode == 0
    assert result.stdout.startswith("VERIFIED")
    assert result.stderr == ""
    for limit in ("Not shown", "who was at the keyboard", "Not assessed", "Policy file SHA-256"):
        assert limit in result.stdout


def test_a_failed_bundle(trust: str, bad: str) -> None:
    result = run("bundle", bad, "--policy", trust)
    assert result.returncode == 1
    assert result.stdout.startswith("FAILED")
    assert "position 123" in result.stdout
    assert "What remains provable" in result.stdout


def test_an_unwitnessed_log_over_http(trust: str) -> None:
    with serving(WORLD.members(witnessed=False)) as server:
        given = run("log", server.url, "--policy", trust, "--token", TOKEN, "--json")
        from_env = run("log", server.url, "--policy", trust, env={"LEDGER_TOKEN": TOKEN})
    assert given.returncode == from_env.returncode == 3
    assert json.loads(given.stdout)["verdict"] == "UNWITNESSED"
    assert from_env.stdout.startswith("UNWITNESSED")
    assert TOKEN not in given.stdout + given.stderr + from_env.stdout + from_env.stderr


def test_a_server_that_is_not_there(trust: str) -> None:
    result = run("log", "http://127.0.0.1:9", "--policy", trust)
    assert result.returncode == 4
    assert "cannot be reached" in result.stdout
    assert "Traceback" not in result.stderr


def test_wrong_usage_as_a_process(trust: str) -> None:
    for arguments in ((), ("log",), ("bundle", "x"), ("nonsense",), ("bundle", "x", "--policy")):
        result = run(*arguments)
        assert result.returncode == 2
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
    assert run("--version").returncode == 0


def test_the_json_object(capsysbinary: pytest.CaptureFixture[bytes], trust: str, bad: str) -> None:
    value = as_object(capsysbinary, "bundle", bad, "--policy", trust)
    stream = [name for name in WORLD.heads if name.startswith("case/")][(123 - 3) % 5]
    assert value["failures"] == [
        {
            "position": 123,
            "stream": stream,
            "reason": "not the entry that the signed root has at this position",
        }
    ]
    assert value["failure_count"] == 1
    assert value["checked"]["entries"] == SIZE
    assert value["tree_size"] == SIZE
    assert value["root"] == WORLD.root().hex()
    assert value["origin"] == "ledger.test/hub"
    assert value["conduct"] == []
    assert any(line.startswith("whether the ledger's own") for line in value["not_assessed"])
    assert any(line.startswith("conduct") for line in value["not_assessed"])
    assert any(line.startswith("uniqueness") for line in value["not_assessed"])
    assert value["checkpoint"]["quorum_met"] is True
    assert value["checkpoint"]["witnessed_at"] == 1_790_000_000 + SIZE
    assert {s["role"] for s in value["checkpoint"]["signatures"]} == {"log", "witness"}
    assert len(value["policy_sha256"]) == 64
    assert value["verifier"] == {"version": "0.1.0", "sha256": source_sha256()}
    assert value["not_shown"]
    assert value["provable"]


def test_unique(capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str) -> None:
    value = as_object(capsysbinary, "bundle", good, "--policy", trust, "--unique")
    assert value["verdict"] == "VERIFIED"
    assert not any("uniqueness" in line for line in value["not_assessed"])


def test_a_case_bundle(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path
) -> None:
    path = str(WORLD.case(CASE).write(tmp_path / "case.bundle"))
    value = as_object(capsysbinary, "bundle", path, "--policy", trust, "--conduct-fails")
    assert (value["verdict"], value["subject"]) == ("VERIFIED", "case bundle")
    assert any("stream is whole" in line for line in value["not_shown"])


def test_a_receipt(capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path) -> None:
    receipt, entry = tmp_path / "r.tlog-proof", tmp_path / "entry.json"
    receipt.write_bytes(WORLD.receipt(40))
    entry.write_bytes(WORLD.entries[40])
    given = ("receipt", str(receipt), "--entry", str(entry), "--policy", trust)
    assert as_object(capsysbinary, *given)["verdict"] == "UNWITNESSED"
    entry.write_bytes(WORLD.entries[41])
    assert as_object(capsysbinary, *given)["verdict"] == "FAILED"
    entry.unlink()
    code, out, err = called(capsysbinary, *given)
    assert (code, out) == (2, "")
    assert "entry.json cannot be opened" in err


def test_files_that_are_not_there(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    absent = str(tmp_path / "absent")
    for wrong in (
        ("bundle", absent, "--policy", trust),
        ("bundle", str(tmp_path), "--policy", trust),
        ("receipt", absent, "--entry", absent, "--policy", trust),
        ("bundle", good, "--policy", absent),
        ("bundle", good, "--policy", good),
        ("bundle", good, "--policy", trust, "--since", absent),
        ("bundle", good, "--policy", trust, "--since", trust),
        ("bundle", good, "--policy", trust, "--state", trust),
        ("bundle", good, "--policy", trust, "--state", str(tmp_path)),
        ("log", "not-a-url", "--policy", trust),
        ("log", "http://127.0.0.1:9", "--policy", trust, "--token", "a b"),
        ("log", "http://127.0.0.1:9", "--policy", trust, "--save", good),
    ):
        code, out, err = called(capsysbinary, *wrong)
        assert (code, out) == (2, "")
        assert err.startswith("ledger-verify: ")


def test_a_policy_that_trusts_no_log(
    capsysbinary: pytest.CaptureFixture[bytes], good: str, tmp_path: Path
) -> None:
    path = tmp_path / "empty"
    path.write_text("quorum none\n")
    assert called(capsysbinary, "bundle", good, "--policy", str(path))[0] == 2


def test_since_takes_checkpoints_receipts_and_bundles(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    files = {
        "checkpoint": WORLD.checkpoint(200),
        "receipt": WORLD.receipt(3, 100),
        "forged": sign(150, bytes(32)),
    }
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    older = str(write_log(World(entries=WORLD.entries[:270]).members(), tmp_path / "older"))
    since = [str(tmp_path / "checkpoint"), str(tmp_path / "receipt"), older]
    options = [word for name in since for word in ("--since", name)]
    value = as_object(capsysbinary, "bundle", good, "--policy", trust, *options)
    assert value["verdict"] == "VERIFIED"
    assert value["checked"]["earlier_checkpoints"] == 3
    forged = ("--since", str(tmp_path / "forged"))
    value = as_object(capsysbinary, "bundle", good, "--policy", trust, *options, *forged)
    assert value["verdict"] == "FAILED"
    assert len(value["evidence"]) == 2


def test_state_from_run_to_run(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    state = str(tmp_path / "state.json")
    given = ("--policy", trust, "--state", state)
    assert as_object(capsysbinary, "bundle", good, *given)["verdict"] == "VERIFIED"
    forged = World(entries=list(WORLD.entries))
    forged.entries[299] = altered(forged.entries[299])
    path = str(write_log(forged.members(), tmp_path / "forged"))
    before = Path(state).read_bytes()
    value = as_object(capsysbinary, "bundle", path, *given)
    assert value["verdict"] == "FAILED"
    assert "remembered in state.json" in value["failures"][0]["reason"]
    assert Path(state).read_bytes() == before
    older = str(write_log(World(entries=WORLD.entries[:270]).members(), tmp_path / "older"))
    assert as_object(capsysbinary, "bundle", older, *given)["verdict"] == "UNVERIFIABLE"


def test_a_state_that_the_policy_does_not_accept(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    state.write_text(
        '{"format":"hub-ledger/verifier-state@v1","logs":{"x":{"checkpoints":["nonsense"]}}}'
    )
    assert called(capsysbinary, "bundle", good, "--policy", trust, "--state", str(state))[0] == 2


def test_saving_what_was_verified(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path
) -> None:
    saved = tmp_path / "saved.bundle"
    members = WORLD.members()
    with serving(members) as server:
        given = ("log", server.url, "--policy", trust, "--token", TOKEN)
        value = as_object(capsysbinary, *given, "--save", str(saved))
    assert value["verdict"] == "VERIFIED"
    assert saved.stat().st_mode & 0o777 == 0o600
    reader = BundleReader(io.BytesIO(saved.read_bytes()))
    assert {name: reader.read(name) for name in reader} == members
    assert as_object(capsysbinary, "bundle", str(saved), "--policy", trust)["verdict"] == "VERIFIED"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_nothing_is_saved_when_nothing_was_read(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path
) -> None:
    saved = tmp_path / "saved.bundle"
    value = as_object(
        capsysbinary, "log", "http://127.0.0.1:9", "--policy", trust, "--save", str(saved)
    )
    assert value["verdict"] == "UNVERIFIABLE"
    assert not saved.exists()


def test_members_that_no_check_asked_for(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path
) -> None:
    path = str(write_log({**WORLD.members(), "tile/9/000": b"x"}, tmp_path / "more"))
    value = as_object(capsysbinary, "bundle", path, "--policy", trust)
    assert value["verdict"] == "VERIFIED"
    assert any("1 members of the bundle" in line for line in value["not_assessed"])


def test_a_warning_before_a_token_goes_out_in_the_clear(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str
) -> None:
    _, _, err = called(
        capsysbinary, "log", "http://ledger.invalid", "--policy", trust, "--token", TOKEN, "--json"
    )
    assert "unencrypted" in err
    assert TOKEN not in err


def test_a_progress_bar_for_people_alone(trust: str, good: str) -> None:
    """On a terminal, and never together with --json."""
    seen = []
    for extra in ((), ("--json",)):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "ledger_verifier", "bundle", good, "--policy", trust]
        with subprocess.Popen(
            [*command, *extra],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
        ) as process:
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # how a terminal says that its other end is closed
                while part := os.read(ours, 65536):
                    shown += part
            process.communicate()
        os.close(ours)
        assert process.returncode == 0
        seen.append(b"300/300" in shown)
    assert seen == [True, False]


def test_control_codes_of_a_terminal_are_not_passed_on(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    path = tmp_path / "\x1b[31mred [bold]x"
    code, _, err = called(capsysbinary, "bundle", str(path), "--policy", trust)
    assert (code, "\x1b" in err, "red [bold]x" in err) == (2, False, True)
    path.write_bytes(b"altered" + Path(good).read_bytes())
    code, out, _ = called(capsysbinary, "bundle", str(path), "--policy", trust)
    assert code == 4
    assert "\x1b" not in out
    assert "red [bold]x" in out.replace("\n", "")
