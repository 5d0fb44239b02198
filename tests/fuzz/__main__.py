"""`make fuzz`: atheris over every target, so many seconds each, and what it found.

    python -m tests.fuzz [TARGET ...] [--seconds N] [--kept DIRECTORY]

Each target is a process of its own with 2 GiB of memory and ten seconds for one input. An input
that broke a guarantee is kept in DIRECTORY as `crash-…`, `oom-…` or `timeout-…`; the exit code is 1
if there is any. atheris is published for Linux on x86-64 alone.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.fuzz import PLANTED
from tests.fuzz.targets import TARGETS

_DONE = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE = re.compile(r"cov: (\d+)")
#: What libFuzzer is allowed beside the time of the run, in seconds: loading, and its last input.
_GRACE: Final = 60


@dataclass(frozen=True, slots=True)
class Found:
    """One target's run."""

    name: str
    inputs: int
    edges: int
    said: str
    good: bool


def run(name: str, seconds: int, kept: Path) -> Found:
    """Fuzz one target."""
    with tempfile.TemporaryDirectory(prefix="hub-ledger-fuzz-") as corpus:
        if name in TARGETS:
            for number, data in enumerate(TARGETS[name].good()):
                (Path(corpus) / str(number)).write_bytes(data)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.fuzz.one",
                name,
                f"-max_total_time={seconds}",
                "-rss_limit_mb=2048",
                "-timeout=10",
                "-max_len=65536",
                "-print_final_stats=1",
                f"-artifact_prefix={kept}/",
                corpus,
            ],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + _GRACE,
            check=False,
        )
    inputs = _DONE.search(done.stderr)
    edges = _COVERAGE.findall(done.stderr)
    good = done.returncode == 0 and inputs is not None
    said = "" if good else done.stdout[-3000:] + done.stderr[-3000:]
    return Found(name, int(inputs[1]) if inputs else 0, int(edges[-1]) if edges else 0, said, good)


def main() -> int:
    """Run them one after another; 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=20, help="for each target (20)")
    parser.add_argument("--kept", type=Path, default=Path("fuzz-findings"), metavar="DIRECTORY")
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - {*TARGETS, PLANTED}
    if unknown:
        parser.error(f"no such target; there are: {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: it is published for Linux on x86-64 alone")
    arguments.kept.mkdir(parents=True, exist_ok=True)
    console = Console()
    table = Table("target", "inputs", "edges reached", "found")
    bad = []
    for name in arguments.targets or TARGETS:
        found = run(name, arguments.seconds, arguments.kept)
        table.add_row(name, f"{found.inputs:,}", f"{found.edges:,}", "" if found.good else "YES")
        if not found.good:
            bad.append(found)
    console.print(table)
    for found in bad:
        console.print(f"{found.name}:", style="bold")
        console.print(found.said, markup=False, highlight=False)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
