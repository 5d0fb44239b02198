"""Every keeper of wrapping keys, for the tests that all of them must pass.

The file is the real one. Vault is `transit_server.py`, which stands in for a server that no
registry has. AWS KMS is moto's server, on loopback. The PKCS#11 device is SoftHSM2 from Debian,
which `make hsm` installs: where it is missing these tests fail.
"""

import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pkcs11
import pytest
from moto.backends import get_backend
from moto.server import ThreadedMotoServer
from pkcs11 import Attribute

from ledger.vault.hsm import Pkcs11KeyWrapper
from ledger.vault.kms import KmsKeyWrapper
from ledger.vault.settings import (
    PIN_VARIABLE,
    KmsSettings,
    Pkcs11Settings,
    VaultSettings,
)
from ledger.vault.transit import TransitKeyWrapper
from ledger.vault.wrapper import KeyFiles, KeyWrapper, WrappingKey
from tests.ledger.vault.transit_server import TransitKey, TransitServer, serving

VAULT_TOKEN = "hvs.test-" + secrets.token_hex(12)
AWS_SECRET = secrets.token_hex(20)
PIN = secrets.token_hex(6)
TOKEN_LABEL = "hub-ledger-tests"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
#: Seconds that a keeper which never answers is given in these tests.
SHORT = 0.3


@dataclass
class Kept:
    """A keeper with a wrapping key in it.

    `again` makes another wrapper of the same settings, as another process would; `next` one whose
    `rotate` finds something newer; `lose` takes the wrapping keys away for good; `unreachable` is a
    wrapper whose keeper is not there. `secrets` are words that nobody may read.
    """

    name: str
    wrapper: KeyWrapper
    again: Callable[[], KeyWrapper]
    next: Callable[[], KeyWrapper]
    lose: Callable[[], object]
    unreachable: KeyWrapper
    secrets: list[str] = field(default_factory=list)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on loopback that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(scope="session")
def transit() -> Iterator[TransitServer]:
    """A transit engine, as `transit_server.py` speaks it."""
    with serving(VAULT_TOKEN) as server:
        yield server


@pytest.fixture(scope="session")
def kms_endpoint() -> Iterator[str]:
    """moto's server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SoftHSM's module, with one initialised token."""
    module = next((Path(path) for path in MODULES if Path(path).is_file()), None)
    assert module is not None, "SoftHSM2 is not installed: run `make hsm`"
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "conf")
    make = ["softhsm2-util", "--init-token", "--free", "--label", TOKEN_LABEL]
    subprocess.run([*make, "--pin", PIN, "--so-pin", PIN], check=True, capture_output=True)
    return module


@pytest.fixture
def files(tmp_path: Path) -> Kept:
    folder = tmp_path / "key-files"
    folder.mkdir()
    wrapper = KeyFiles(folder)
    wrapper.prepare(0)

    def lose() -> None:
        for path in folder.glob("*.key"):
            path.unlink()

    return Kept(
        "file",
        wrapper,
        again=lambda: KeyFiles(folder),
        next=lambda: KeyFiles(folder),
        lose=lose,
        unreachable=KeyFiles(tmp_path / "nowhere"),
        secrets=[(folder / "wrapping.key").read_text().strip()],
    )


@pytest.fixture
def vault(
    transit: TransitServer, monkeypatch: pytest.MonkeyPatch, silent_port: int, tmp_path: Path
) -> Kept:
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text(VAULT_TOKEN + "\n")
    key = f"test-{secrets.token_hex(4)}"
    transit.keys[key] = TransitKey()

    def settings(address: str, seconds: float) -> VaultSettings:
        return VaultSettings(address, key, "transit", None, token_file, None, seconds)

    return Kept(
        "vault",
        TransitKeyWrapper(settings(transit.address, 10)),
        again=lambda: TransitKeyWrapper(settings(transit.address, 10)),
        next=lambda: TransitKeyWrapper(settings(transit.address, 10)),
        lose=lambda: transit.keys.pop(key),
        unreachable=TransitKeyWrapper(settings(f"http://127.0.0.1:{silent_port}", SHORT)),
        secrets=[VAULT_TOKEN],
    )


@pytest.fixture
def kms(kms_endpoint: str, monkeypatch: pytest.MonkeyPatch, silent_port: int) -> Kept:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFICTIONAL0000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client: Any = boto3.client("kms", region_name="eu-west-2", endpoint_url=kms_endpoint)
    made = [client.create_key(KeyUsage="ENCRYPT_DECRYPT") for _ in range(2)]
    arns = [one["KeyMetadata"]["Arn"] for one in made]

    def lose() -> None:
        for backend in get_backend("kms").values():
            for region in backend.values():
                for arn in arns:
                    region.keys.pop(arn.rpartition("/")[2], None)

    def wrapper(arn: str, endpoint: str = kms_endpoint, seconds: float = 10) -> KeyWrapper:
        return KmsKeyWrapper(KmsSettings(arn, endpoint, seconds))

    return Kept(
        "kms",
        wrapper(arns[0]),
        again=lambda: wrapper(arns[0]),
        next=lambda: wrapper(arns[1]),
        lose=lose,
        unreachable=wrapper(arns[0], f"http://127.0.0.1:{silent_port}", SHORT),
        secrets=[AWS_SECRET],
    )


@pytest.fixture
def hsm(softhsm: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setenv(PIN_VARIABLE, PIN)
    label = f"test-{secrets.token_hex(4)}"

    def wrapper(token: str = TOKEN_LABEL) -> Pkcs11KeyWrapper:
        return Pkcs11KeyWrapper(Pkcs11Settings(softhsm, token, label, None, 10))

    def lose() -> None:
        token = pkcs11.lib(str(softhsm)).get_token(token_label=TOKEN_LABEL)
        try:
            session = token.open(rw=True, user_pin=PIN)
        except pkcs11.exceptions.UserAlreadyLoggedIn:
            session = token.open(rw=True)
        for found in list(session.get_objects({Attribute.LABEL: label})):
            found.destroy()

    first = wrapper()
    first.rotate(WrappingKey("file", "wrapping", 1))
    return Kept(
        "pkcs11",
        first,
        again=wrapper,
        next=wrapper,
        lose=lose,
        unreachable=wrapper("no-such-token"),
        secrets=[PIN],
    )


@pytest.fixture(params=["files", "vault", "kms", "hsm"])
def kept(request: pytest.FixtureRequest) -> Kept:
    """Each keeper in turn."""
    found: Kept = request.getfixturevalue(request.param)
    return found
