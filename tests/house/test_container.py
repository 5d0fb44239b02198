"""The image: what can be checked of it without a container engine.

The Dockerfile is read here, never run; the two wheels it installs are built for real.
"""

import fnmatch
import re
import subprocess
import sys
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from tests.house.tree import ROOT


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def _final_stage() -> list[tuple[str, str]]:
    steps = _instructions()
    last = max(index for index, (word, _) in enumerate(steps) if word == "FROM")
    return steps[last:]


def _only(word: str) -> str:
    (argument,) = [argument for found, argument in _final_stage() if found == word]
    return argument


def test_both_stages_start_from_one_pinned_python() -> None:
    bases = [argument.split()[0] for word, argument in _instructions() if word == "FROM"]
    assert bases == ["python:3.11-slim", "python:3.11-slim"]


def test_service_runs_as_a_fixed_user_that_is_not_root() -> None:
    uid, gid = map(int, _only("USER").split(":"))
    assert uid >= 10_000
    assert gid >= 10_000
    words = [word for word, _ in _final_stage()]
    assert "RUN" not in words[words.index("USER") :]
    making = " ".join(argument for word, argument in _final_stage() if word == "RUN")
    assert f"--uid {uid}" in making


def test_data_is_a_volume_and_health_is_asked() -> None:
    assert _only("VOLUME") == "/data"
    assert "/healthz" in _only("HEALTHCHECK")
    assert "urllib.request" in _only("HEALTHCHECK")
    assert _only("ENTRYPOINT") == '["hub-ledger"]'
    assert _only("CMD").startswith('["serve"')


def test_everything_is_installed_by_hash_and_the_wheels_alone_without() -> None:
    for _, argument in _instructions():
        for step in argument.split("&&"):
            if "pip install" not in step:
                continue
            assert "--require-hashes --only-binary :all:" in step or (
                "--no-deps --no-index" in step and step.rstrip().endswith(".whl")
            )


def test_what_is_copied_is_there_and_is_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignore
    let_through = {line[1:].rstrip("/") for line in ignore if line.startswith("!")}
    for word, argument in _instructions():
        if word != "COPY" or argument.startswith("--from="):
            continue
        for source in argument.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.rstrip("/") in let_through
    hidden = (".git", ".venv", "demo-data", ".env", "keys.db")
    assert not any(fnmatch.fnmatch(path, rule) for path in hidden for rule in let_through)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    """Both wheels, built by the Dockerfile's own commands into a directory of their own."""
    out = tmp_path_factory.mktemp("wheels")
    for source in ("./verifier", "."):
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
        subprocess.run([*command, str(out), source], cwd=ROOT, check=True, capture_output=True)
    return {path.name.split("-")[0]: zipfile.ZipFile(path) for path in Path(out).glob("*.whl")}


def test_wheels_hold_the_packages_and_nothing_else(wheels: dict[str, zipfile.ZipFile]) -> None:
    tops = {
        name: {member.split("/")[0] for member in wheel.namelist()}
        - {part for part in (m.split("/")[0] for m in wheel.namelist()) if "dist-info" in part}
        for name, wheel in wheels.items()
    }
    assert tops == {"hub_ledger": {"ledger", "api"}, "ledger_verifier": {"ledger_verifier"}}


def test_the_service_brings_the_page_of_its_interface(wheels: dict[str, zipfile.ZipFile]) -> None:
    static = ROOT / "api/static"
    wanted = {path.relative_to(ROOT).as_posix(): path for path in static.glob("*/*")}
    assert len(wanted) > 8
    wheel = wheels["hub_ledger"]
    assert {name for name in wheel.namelist() if "/static/" in name} == set(wanted)
    assert [n for n, path in wanted.items() if wheel.read(n) != path.read_bytes()] == []


def test_the_verifier_asks_for_three_libraries(wheels: dict[str, zipfile.ZipFile]) -> None:
    wheel = wheels["ledger_verifier"]
    (metadata,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    needs = BytesParser().parsebytes(wheel.read(metadata)).get_all("Requires-Dist") or []
    assert {re.split(r"[<>= ;]", need)[0] for need in needs} == {"cryptography", "orjson", "rich"}
