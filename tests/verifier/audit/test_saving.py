"""What a run leaves behind: a report is never lost because a file cannot be written, nor a file
because the report cannot be printed; and neither is taken for a verdict."""

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger_verifier.audit import outputs
from ledger_verifier.audit.readers.recording import RecordingReader
from ledger_verifier.audit.state import State, StateError

from .test_cli import WORLD, bad, called, good, trust
from .world import TOKEN, serving

__all__ = ["bad", "good", "trust"]

OPTIONS = ["--save", "--state", "--html"]


def full(*_: Any) -> None:
    """As a disk that filled up meanwhile."""
    raise OSError(errno.ENOSPC, "No space left on device")


def full_state(*_: Any) -> None:
    raise StateError("the state file cannot be written: No space left on device")


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "save_html", full)
    monkeypatch.setattr(RecordingReader, "save", full)
    monkeypatch.setattr(State, "save", full_state)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_file_that_cannot_be_written_afterwards(
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    trust: str,
    tmp_path: Path,
    option: str,
) -> None:
    fill_the_disk(monkeypatch)
    target = tmp_path / "target"
    with serving(WORLD.members()) as server:
        given = ("log", server.url, "--policy", trust, "--token", TOKEN, option, str(target))
        code, out, err = called(capsysbinary, *given, "--json")
    assert json.loads(out)["verdict"] == "VERIFIED"
    assert code == 2
    assert str(target) in err
    assert "No space left" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy"]


def test_a_failed_verdict_keeps_its_exit_code(
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    trust: str,
    bad: str,
    tmp_path: Path,
) -> None:
    fill_the_disk(monkeypatch)
    page = str(tmp_path / "page.html")
    code, out, err = called(capsysbinary, "bundle", bad, "--policy", trust, "--html", page)
    assert (code, out.split(":")[0]) == (1, "FAILED")
    assert f"{page} cannot be written" in err


def test_one_file_that_fails_does_not_keep_back_the_others(
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    trust: str,
    good: str,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(State, "save", full_state)
    page, state = tmp_path / "page.html", str(tmp_path / "state")
    given = ("bundle", good, "--policy", trust, "--state", state, "--html", str(page))
    code, _, err = called(capsysbinary, *given)
    assert code == 2
    assert err.count("No space left") == 1
    assert b"VERIFIED" in page.read_bytes()


@pytest.mark.parametrize("option", OPTIONS)
def test_a_place_that_cannot_be_written_is_refused_at_once(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, tmp_path: Path, option: str
) -> None:
    target = tmp_path / "no-such-folder" / "target"
    with serving(WORLD.members()) as server:
        given = ("log", server.url, "--policy", trust, "--token", TOKEN, option, str(target))
        code, out, err = called(capsysbinary, *given)
        assert server.requests == []
    assert (code, out) == (2, "")
    assert f"{target} cannot be written" in err
    assert "Nothing was checked" in err


def test_two_files_of_one_name(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    target = str(tmp_path / "target")
    given = ("bundle", good, "--policy", trust, "--html", target, "--state", target)
    code, out, err = called(capsysbinary, *given)
    assert (code, out) == (2, "")
    assert "two different files" in err


def nobody() -> int:
    """A pipe whose reader has gone."""
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


def no_room() -> int:
    return os.open("/dev/full", os.O_WRONLY)


PLACES = {"a reader that has gone": nobody, "a full disk": no_room}


def printing(out: int, *arguments: str, err: int | None = None) -> tuple[int, str]:
    """The command with its report going to `out`: exit code, and what is on standard error."""
    try:
        result = subprocess.run(
            [sys.executable, "-m", "ledger_verifier", *arguments],
            stdout=out,
            stderr=subprocess.PIPE if err is None else err,
            check=False,
            timeout=60,
        )
    finally:
        os.close(out)
    return result.returncode, (result.stderr or b"").decode()


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("place", PLACES)
def test_a_report_that_cannot_be_printed_is_no_failure(
    trust: str, good: str, tmp_path: Path, place: str, options: tuple[str, ...]
) -> None:
    page, state = tmp_path / "page.html", tmp_path / "state"
    given = ("bundle", good, "--policy", trust, "--html", str(page), "--state", str(state))
    code, err = printing(PLACES[place](), *given, *options)
    assert code == 2
    assert err.startswith("ledger-verify: the report could not be printed: ")
    assert err.endswith("It says VERIFIED\n")
    assert err.count("\n") == 1
    assert b"VERIFIED" in page.read_bytes()
    assert state.exists()


@pytest.mark.parametrize("place", PLACES)
def test_a_report_that_cannot_be_printed_keeps_the_verdicts_exit_code(
    trust: str, bad: str, tmp_path: Path, place: str
) -> None:
    code, err = printing(PLACES[place](), "bundle", bad, "--policy", trust)
    assert (code, err.rpartition("It says ")[2]) == (1, "FAILED\n")
    begun_anew = tmp_path / "begun anew"
    begun_anew.write_bytes(b"altered" + Path(bad).read_bytes())
    assert printing(PLACES[place](), "bundle", str(begun_anew), "--policy", trust)[0] == 4


def test_neither_report_nor_error_can_be_printed(trust: str, good: str) -> None:
    full = no_room()
    try:
        assert printing(no_room(), "bundle", good, "--policy", trust, err=full)[0] == 2
    finally:
        os.close(full)


def test_no_standard_output_at_all(trust: str, good: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    command = 'exec "$0" -m ledger_verifier bundle "$1" --policy "$2" --html "$3" >&-'
    result = subprocess.run(
        ["sh", "-c", command, sys.executable, good, trust, str(page)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 2
    assert b"the report could not be printed" in result.stderr
    assert page.exists()


def test_the_report_is_written_at_once(trust: str, good: str) -> None:
    """So that a reader that stops at the first line, as `grep -q` does, does not make it fail."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        code, err = printing(os.dup(theirs.fileno()), "bundle", good, "--policy", trust)
        assert (code, err) == (0, "")
        first = ours.recv(1 << 20)
    assert first.startswith(b"VERIFIED")
    assert b"source SHA-256" in first
