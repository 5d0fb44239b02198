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
