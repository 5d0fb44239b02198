"""The Makefile and continuous integration: what a person meets first."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT

TARGETS = {
    *("help", "setup", "demo", "test", "browser", "hsm"),
    *("lint", "serve", "wheel", "lock", "clean"),
}
#: What the tests need of the system: the target that sees to it, its program and its package.
NEEDED = [("browser", "chromium", "chromium"), ("hsm", "softhsm2-util", "softhsm2")]


def _make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )


def test_help_names_every_target() -> None:
    listed = set(re.findall(r"^  make ([a-z]+)", _make("help").stdout, re.MULTILINE))
    assert listed >= TARGETS
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == listed


def test_make_test_lints_before_it_tests() -> None:
    plan = _make("--dry-run", "test").stdout
    order = ["ruff check", "ruff format --check", "mypy", "lint-imports", "pytest -n 3"]
    found = [plan.index(step) for step in order]
    assert found == sorted(found)


def test_continuous_integration_runs_make_test_and_nothing_more() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text("utf-8").splitlines() if line]
    assert lines[0] == "#!/usr/bin/env bash"
    steps = [line for line in lines[1:] if not line.startswith("#")]
    assert steps[0] == "set -euo pipefail"
    assert steps[1].startswith("cd ")
    assert steps[2:] == ["exec make test"]


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Path:
    """A checkout with nothing installed: what setup looks at, and no environment."""
    (tmp_path / "verifier").mkdir()
    for file in ("Makefile", "pyproject.toml", "verifier/pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def _python(directory: Path, script: str) -> str:
    path = directory / "python"
    path.write_text(f"#!/bin/sh\n{script}\n", "ascii")
    path.chmod(0o755)
    return f"PYTHON={path}"


def test_setup_says_which_package_a_bare_debian_lacks(bare_checkout: Path) -> None:
    no_venv = 'case "$2" in *ensurepip*) exit 1;; *print*) echo python3.11-venv;; esac'
    result = _make("setup", _python(bare_checkout, no_venv), cwd=bare_checkout)
    assert result.returncode != 0
    assert "sudo apt-get install python3.11-venv" in result.stderr
    assert not (bare_checkout / ".venv").exists()


def test_setup_refuses_an_old_python(bare_checkout: Path) -> None:
    result = _make("setup", _python(bare_checkout, "exit 1"), cwd=bare_checkout)
    assert result.returncode != 0
    assert "Python 3.11 or newer" in result.stderr


@pytest.mark.parametrize("package", ["chromium", "softhsm2"])
def test_only_the_tests_want_more_of_the_system(package: str) -> None:
    assert f"install {package}" in _make("--dry-run", "test").stdout
    for target in ("setup", "demo", "lint", "serve"):
        assert package not in _make("--dry-run", target).stdout


def _see_to(directory: Path, target: str, *programs: str) -> subprocess.CompletedProcess[str]:
    """A target where nothing but these programs and the shell's own is on PATH."""
    for program in programs:
        path = directory / program
        path.write_text('#!/bin/sh\necho "ran ${0##*/} $*"\n', "ascii")
        path.chmod(0o755)
    make = shutil.which("make")
    assert make is not None
    return subprocess.run(
        [make, target, "SHELL=/bin/sh"],
        cwd=ROOT,
        env={"PATH": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("target", "program", "package"), NEEDED)
def test_what_is_there_is_left_alone(
    tmp_path: Path, target: str, program: str, package: str
) -> None:
    done = _see_to(tmp_path, target, program, "apt-get", "id")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(("target", "program", "package"), NEEDED)
def test_without_it_it_says_what_to_install(
    tmp_path: Path, target: str, program: str, package: str
) -> None:
    (tmp_path / "id").symlink_to("/bin/false")
    done = _see_to(tmp_path, target)
    assert done.returncode != 0
    assert f"apt-get install {package}" in done.stderr


@pytest.mark.parametrize(("target", "program", "package"), NEEDED)
def test_as_root_on_debian_it_is_installed(
    tmp_path: Path, target: str, program: str, package: str
) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n", "ascii")
    (tmp_path / "id").chmod(0o755)
    done = _see_to(tmp_path, target, "apt-get")
    assert done.stdout.splitlines() == [
        "ran apt-get update -qq",
        f"ran apt-get install -y -qq --no-install-recommends {package}",
    ]
    assert done.returncode == 0
