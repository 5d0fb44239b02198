"""Who may import whom, as `.importlinter` and docs/architecture.md have it."""

import configparser
import subprocess
import sys
from pathlib import Path

from tests.house.tree import ROOT


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_contracts_name_every_part_of_the_service_and_the_verifier() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter", "utf-8")
    for section, package in (("ledger", "ledger"), ("verifier", "verifier/ledger_verifier")):
        contract = contracts[f"importlinter:contract:{section}"]
        assert contract["exhaustive"] == "True"
        named = set(contract["layers"].replace("|", " ").replace(":", " ").split())
        there = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
        there |= {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert named == there


def test_a_ledger_on_sqlite_does_not_load_the_driver_of_postgresql() -> None:
    """It takes as long as all the rest, and each process of a ledger would pay for it."""
    modules = "ledger.log.writer, ledger.projections.runner, ledger.application"
    told = f"import sys, {modules}; print([m for m in sys.modules if m.startswith('psycopg')])"
    result = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
