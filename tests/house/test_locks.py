"""The lock files: names, versions and hashes; nothing that says where to fetch them."""

import re
import tomllib

import pytest

from tests.house.tree import ROOT

LOCKS = ("requirements.lock", "requirements-runtime.lock")
REQUIREMENT = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)==([0-9][\w.+!-]*)(?: ; (.+?))? \\$")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?$")


def _versions(lock: str) -> dict[str, str]:
    """Pinned versions by name; fails on any line that is neither a pin nor a hash."""
    versions: dict[str, str] = {}
    wants_hash = False
    for line in (ROOT / lock).read_text("ascii").splitlines():
        if pin := REQUIREMENT.fullmatch(line):
            assert not wants_hash, f"{lock}: a requirement has no hash before {line!r}"
            versions[pin[1]] = pin[2]
            wants_hash = True
        else:
            digest = HASH.fullmatch(line)
            assert digest, f"{lock}: {line!r}"
            wants_hash = digest[1] is not None
    assert not wants_hash
    return versions


def _named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ;]", text, maxsplit=1)[0].lower() for text in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_pins_and_hashes_only(lock: str) -> None:
    assert len(_versions(lock)) > 10


def test_the_image_runs_what_was_tested() -> None:
    tested, shipped = _versions(LOCKS[0]), _versions(LOCKS[1])
    assert shipped.items() <= tested.items()
    assert "pytest" not in shipped


def test_every_declared_dependency_is_locked() -> None:
    service = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    verifier = tomllib.loads((ROOT / "verifier/pyproject.toml").read_text("utf-8"))
    declared = service["project"]["dependencies"] + verifier["project"]["dependencies"]
    wanted = _named(declared) - {"ledger-verifier"}
    assert wanted <= _versions(LOCKS[1]).keys()
    assert _named(service["dependency-groups"]["dev"]) <= _versions(LOCKS[0]).keys()


def test_what_an_extra_installs_is_tested() -> None:
    service = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = service["project"]["optional-dependencies"]
    assert extras.keys() == {"vault", "kms", "pkcs11"}
    for wanted in extras.values():
        assert set(wanted) <= set(service["dependency-groups"]["dev"])
        # Whoever keeps the wrapping key in a file does not get it.
        assert not _named(wanted) & _versions(LOCKS[1]).keys()


def test_both_distributions_carry_one_version() -> None:
    service = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    verifier = tomllib.loads((ROOT / "verifier/pyproject.toml").read_text("utf-8"))["project"]
    assert service["version"] == verifier["version"]
    assert f"ledger-verifier=={verifier['version']}" in service["dependencies"]
