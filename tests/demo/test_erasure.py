"""The erasure drill end to end, with the real commands."""

import subprocess
import sys
from pathlib import Path

from tests.house.tree import ROOT


def test_the_drill_comes_out_as_it_should(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo.erasure", "--data", str(tmp_path / "kept")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "in the data directory's bytes",
        "Outstanding: recipient/",
        "in any byte",
        "the pack ",
    ):
        assert said in done.stdout
    # What was said of the person is in no file, and was in none: sealed, or not kept.
    for path in (tmp_path / "kept").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for name in (b"Example Person One", b"Fictional", b"Example Mentor"):
                assert name not in content, path.name
