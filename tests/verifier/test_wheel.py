"""The verifier's wheel, alone in a fresh environment: it works, and brings nothing of the service.

Its own dependencies come from the package registry, as they would for an auditor.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from .audit.world import World, policy, write_log

REPOSITORY = Path(__file__).parents[2]
#: What the service needs and the verifier must not.
SERVICE_ONLY = (
    "aiohttp",
    "click",
    "eventsourcing",
    "psycopg",
    "pydantic",
    "structlog",
    "ledger",
    "api",
)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    run(sys.executable, *build, REPOSITORY / "verifier", cwd=folder)
    (found,) = folder.glob("ledger_verifier-*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False)
    interpreter = folder / "venv" / "bin" / "python"
    uv = Path(sys.executable).parent / "uv"
    run(uv, "pip", "install", "--quiet", "--python", interpreter, wheel, cwd=folder)
    return interpreter


def test_the_wheel_alone_verifies_a_bundle(python: Path, tmp_path: Path) -> None:
    path = write_log(World(seed=8).fill(40, streams=3).members(), tmp_path / "log.bundle")
    (tmp_path / "policy").write_bytes(policy().encode())
    command = python.parent / "ledger-verify"
    result = run(command, "bundle", path, "--policy", "policy", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["verdict"] == "VERIFIED"
    as_module = run(
        python, "-m", "ledger_verifier", "bundle", path, "--policy", "policy", cwd=tmp_path
    )
    assert as_module.stdout.startswith("VERIFIED")


def test_the_wheel_brings_nothing_of_the_service(python: Path, tmp_path: Path) -> None:
    script = (
        "import importlib.util, sys; import ledger_verifier.cli;"
        "print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"
    )
    assert run(python, "-c", script, *SERVICE_ONLY, cwd=tmp_path).stdout.strip() == "[]"


def test_every_module_of_the_wheel_can_be_imported(python: Path, tmp_path: Path) -> None:
    script = (
        "import importlib, pkgutil, ledger_verifier as package;"
        "names = [m.name for m in pkgutil.walk_packages(package.__path__, 'ledger_verifier.')"
        " if not m.name.endswith('__main__')];"
        "[importlib.import_module(name) for name in names]; print(len(names))"
    )
    assert int(run(python, "-c", script, cwd=tmp_path).stdout) > 25
