"""What goes wrong is one line of JSON that says what and where, and repeats no value."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger.config import DataDirectory

SECRET = "Fictional Person"
HUB_LEDGER = str(Path(sys.executable).with_name("hub-ledger"))
PRELUDE = f"from ledger import errorlog; errorlog.install(); secret = {SECRET!r}\n"
WRONG = {
    "uncaught": "def place(): raise ValueError(secret)\nplace()",
    "of another": "try:\n    raise KeyError(secret)\nexcept KeyError as e:\n"
    "    raise ValueError(secret) from e",
    "in a thread": "import threading\ndef place(): raise ValueError(secret)\n"
    "t = threading.Thread(target=place); t.start(); t.join()",
    "logged by a library": "import logging\nlogging.getLogger('psycopg.pool').warning(secret)",
    "logged with its exception": "import logging\ntry:\n    raise ValueError(secret)\n"
    "except ValueError:\n    logging.getLogger('x').exception(secret)",
    "cannot be raised": "class A:\n    def __del__(self): raise ValueError(secret)\nA()",
}


def said(command: list[str]) -> tuple[int, str, list[dict[str, Any]]]:
    """Exit code, standard error, and its lines as JSON."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60
    )
    return done.returncode, done.stderr, [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize("name", WRONG)
def test_one_line_without_a_value(name: str) -> None:
    _, text, lines = said([sys.executable, "-c", PRELUDE + WRONG[name]])
    (line,) = lines
    assert SECRET not in text
    assert line["level"] in {"error", "warning"}
    assert line["timestamp"]
    if name == "logged by a library":
        assert (line["logger"], line["error"]) == ("psycopg.pool", [])
    else:
        assert line["error"][0] == "ValueError"
        assert any(frame.startswith("<string>:") for frame in line["frames"])
    assert ("KeyError" in line["error"]) is (name == "of another")


def garbage(path: Path) -> None:
    path.write_bytes(b"\x9c garbage" * 5000)


def test_the_projector(sqlite_directory: DataDirectory) -> None:
    garbage(Path(sqlite_directory.projections_database))
    runner = [sys.executable, "-m", "ledger.projections.runner", str(sqlite_directory.path)]
    code, _, (line,) = said(runner)
    assert code == 1
    assert (line["event"], line["error"]) == ("the projector failed", ["DatabaseError"])
    assert any("runner.py" in frame for frame in line["frames"])


def test_the_writer(sqlite_directory: DataDirectory) -> None:
    garbage(Path(sqlite_directory.database))
    writer = [sys.executable, "-m", "ledger.log.writer", str(sqlite_directory.path), "0"]
    code, _, (line,) = said(writer)
    assert code == 1
    assert line["event"] == "the writer failed"
    assert line["error"]
    assert any("writer.py" in frame for frame in line["frames"])


def test_a_command_says_it_in_words(sqlite_directory: DataDirectory) -> None:
    garbage(Path(sqlite_directory.access_database))
    done = subprocess.run(
        [HUB_LEDGER, "token", "list", "--data", str(sqlite_directory.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: A database of the ledger cannot be used: DatabaseError")
    assert "Traceback" not in done.stderr


def test_serve(sqlite_directory: DataDirectory) -> None:
    garbage(Path(sqlite_directory.access_database))
    command = [HUB_LEDGER, "serve", "--data", str(sqlite_directory.path), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "DatabaseError" in done.stderr
