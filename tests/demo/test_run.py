"""The demonstration end to end, on a smaller year, with the real commands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where a smaller demonstration kept its files, and what it showed."""
    work = tmp_path_factory.mktemp("demo") / "kept"
    done = _demo("--data", str(work), "--cases", "12", "--referrals", "40")
    assert done.returncode == 0, done.stdout + done.stderr
    return work, done.stdout


def test_every_step_is_shown_in_order(shown: tuple[Path, str]) -> None:
    _, text = shown
    steps = [line for line in text.splitlines() if line[:2] in {f"{n}." for n in range(1, 9)}]
    assert [int(step[0]) for step in steps] == list(range(1, 9))
    assert "What to run next" in text


def test_verifier_locates_the_forged_entry(shown: tuple[Path, str]) -> None:
    _, text = shown
    step = text[text.index("Change one byte") :]
    assert "FAILED" in step
    assert "exit code 1" in step


def test_no_token_is_shown(shown: tuple[Path, str]) -> None:
    _, text = shown
    assert "--token TOKEN" in text
    assert "hl_" not in text


def test_what_was_kept_is_for_its_owner_alone(shown: tuple[Path, str]) -> None:
    work, _ = shown
    assert work.stat().st_mode & 0o077 == 0
    assert (work / "ledger" / "ledger.toml").stat().st_mode & 0o077 == 0


def test_a_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious", "ascii")
    done = _demo("--data", str(tmp_path))
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
