"""The drill of docs/backup.md, run as it is printed there."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo.service import free_port
from tests.conftest import MakeDatabase
from tests.house.tree import ROOT

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: What the drill prints, in this order.
PRINTED = (
    r"Example Person One",
    r"Wrote \d+ entries to events.backup",
    r"Destroy events.backup by",
    r"Wrote the key store to keys.backup",
    r"Error: The backup has \d+ entries, and the guard's checkpoint has \d+ entries",
    r"Restored \d+ entries, \d+ of them from the backup",
    r"Keys destroyed by erasures since the backup: 1",
    r"declares them lost when it starts",
    r"sealed.lost",
    r"VERIFIED",
    r"VERIFIED",
)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_the_drill(request: pytest.FixtureRequest, tmp_path: Path, store: str) -> None:
    page = (ROOT / "docs" / "backup.md").read_text("utf-8")
    drill = "".join(BLOCK.findall(page.split("\n## A drill\n")[1].split("\n## ")[0]))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(free_port()),
        "DATABASES": "",
        "NEW_DATABASES": "",
    }
    if store == "postgresql":
        make: MakeDatabase = request.getfixturevalue("postgres")
        for name in ("DATABASES", "NEW_DATABASES"):
            environment[name] = f"--database {make()} --key-database {make()}"
    # In a group of its own, so that whatever it leaves running ends with it.
    process = subprocess.Popen(
        ["/bin/bash", "-euo", "pipefail", "-c", drill],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=120)
    finally:
        with_group(process.pid)
    log = tmp_path / "serve.log"
    assert process.returncode == 0, said + log.read_text() if log.exists() else said
    assert re.search(".*".join(PRINTED), said, re.DOTALL), said
    assert "Example Person One" not in log.read_text()


def with_group(pid: int) -> None:
    """End whatever is left of a process group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
