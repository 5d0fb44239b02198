"""Files that a run leaves behind: a report is never lost because one of them cannot be written."""

import errno
import json
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
