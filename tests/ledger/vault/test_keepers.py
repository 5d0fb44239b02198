"""What is particular to one keeper: what it is asked for, and what it must be."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from uuid import uuid4

import boto3
import pkcs11
import pytest

from ledger.errors import ConfigurationError, VaultUnavailable
from ledger.vault.hsm import Pkcs11KeyWrapper
from ledger.vault.settings import PIN_VARIABLE, Pkcs11Settings
from ledger.vault.threads import within
from ledger.vault.transit import BATCH
from ledger.vault.wrapper import WrappedKeyRefused, WrappingKey
from tests.ledger.vault.conftest import TOKEN_LABEL, Kept
from tests.ledger.vault.transit_server import TransitKey, TransitServer

FROM_FILES = WrappingKey("file", "wrapping", 1)


def some_keys(count: int = 1) -> dict[str, bytes]:
    return {str(uuid4()): os.urandom(32) for _ in range(count)}


def transit_key(server: TransitServer, under: WrappingKey) -> TransitKey:
    return server.keys[under.name.rpartition("/")[2]]


def test_vault_takes_many_keys_in_one_call(vault: Kept, transit: TransitServer) -> None:
    under, keys = vault.wrapper.newest(), some_keys(BATCH + 1)
    del transit.calls[:]
    wrapped = vault.wrapper.wrap(under, keys)
    assert vault.wrapper.unwrap(under, wrapped) == keys
    assert [call.split("/")[3] for call in transit.calls] == ["encrypt"] * 2 + ["decrypt"] * 2


def test_a_version_that_vault_made_by_itself_is_not_used_before_it_is_rotated_to(
    vault: Kept, transit: TransitServer
) -> None:
    old = vault.wrapper.newest()
    transit_key(transit, old).versions.append(os.urandom(32))
    (raw,) = vault.wrapper.wrap(old, some_keys()).values()
    assert raw.startswith(b"vault:v1:")
    assert vault.wrapper.rotate(old).version == 2
    assert len(transit_key(transit, old).versions) == 2


def test_a_version_that_vault_may_no_longer_use_is_gone_and_nothing_is_tampered_with(
    vault: Kept, transit: TransitServer
) -> None:
    old = vault.wrapper.newest()
    wrapped = vault.wrapper.wrap(old, some_keys(2))
    vault.wrapper.rotate(old)
    transit_key(transit, old).min_decryption_version = 2
    with pytest.raises(VaultUnavailable) as caught:
        vault.wrapper.unwrap(old, wrapped)
    assert not isinstance(caught.value, WrappedKeyRefused)


@pytest.mark.parametrize("wrong", ["sealed", "token", "redirect"])
def test_a_vault_that_refuses_is_unavailable(
    vault: Kept, transit: TransitServer, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    under = vault.wrapper.newest()
    wrapped = vault.wrapper.wrap(under, some_keys())
    if wrong == "redirect":
        monkeypatch.setattr(transit, "answer", lambda *_: {"status": {"code": 307}})
    else:
        monkeypatch.setattr(transit, wrong, True if wrong == "sealed" else "another")
    for ask in (vault.wrapper.newest, lambda: vault.wrapper.unwrap(under, wrapped)):
        with pytest.raises(VaultUnavailable) as caught:
            ask()
        assert not isinstance(caught.value, WrappedKeyRefused)


@pytest.mark.parametrize("wrong", [{"derived": True}, {"type": "rsa-4096"}])
def test_a_transit_key_that_cannot_wrap_is_a_wrong_setting(
    vault: Kept, transit: TransitServer, wrong: dict[str, object]
) -> None:
    key = transit_key(transit, vault.wrapper.newest())
    for name, value in wrong.items():
        setattr(key, name, value)
    with pytest.raises(ConfigurationError, match="must be of type"):
        vault.wrapper.newest()


def test_a_kms_key_that_is_disabled_or_of_another_kind_is_a_wrong_setting(
    kms: Kept, kms_endpoint: str
) -> None:
    client = boto3.client("kms", region_name="eu-west-2", endpoint_url=kms_endpoint)
    client.disable_key(KeyId=kms.wrapper.newest().name.rpartition("/")[2])
    with pytest.raises(ConfigurationError, match="disabled"):
        kms.again().newest()


def test_the_same_kms_key_is_nothing_to_rotate_to(kms: Kept) -> None:
    with pytest.raises(ConfigurationError, match="another"):
        kms.wrapper.rotate(kms.wrapper.newest())


def test_kms_without_credentials(kms: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    under = kms.wrapper.newest()
    # As in a process that has found none yet.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(VaultUnavailable, match="no credentials"):
        kms.again().wrap(under, some_keys())


def test_a_pin_that_was_refused_is_not_tried_until_the_token_locks(
    hsm: Kept, softhsm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In another process nobody would be logged in yet.
    tried: list[str] = []

    class Token:
        def open(self, rw: bool, user_pin: str) -> None:
            tried.append(user_pin)
            raise pkcs11.PinIncorrect

    class Library:
        def get_token(self, token_label: str) -> Token:
            return Token()

    monkeypatch.setattr(pkcs11, "lib", lambda _: Library())
    monkeypatch.setenv(PIN_VARIABLE, "000000")
    wrapper = Pkcs11KeyWrapper(Pkcs11Settings(softhsm, TOKEN_LABEL, "x", None, 10))
    for _ in range(3):
        with pytest.raises(VaultUnavailable, match="refuses its PIN"):
            wrapper.newest()
    monkeypatch.setenv(PIN_VARIABLE, "111111")
    with pytest.raises(VaultUnavailable):
        wrapper.newest()
    assert tried == ["000000", "111111"]


class Lost:
    """A session that the device knows nothing of any more."""

    def get_key(self, **_: object) -> None:
        raise pkcs11.SessionHandleInvalid


def test_a_lost_session_is_opened_again(hsm: Kept) -> None:
    under, keys = hsm.wrapper.newest(), some_keys()
    wrapper = hsm.wrapper
    assert isinstance(wrapper, Pkcs11KeyWrapper)
    wrapper._session = Lost()
    with pytest.raises(VaultUnavailable):
        wrapper.wrap(under, keys)
    assert wrapper.unwrap(under, wrapper.wrap(under, keys)) == keys


def test_a_device_is_used_from_many_threads(hsm: Kept) -> None:
    under = hsm.wrapper.newest()

    def turn(_: int) -> bool:
        keys = some_keys(3)
        return hsm.wrapper.unwrap(under, hsm.wrapper.wrap(under, keys)) == keys

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(turn, range(40)))


def test_what_never_answers_is_given_up() -> None:
    release = Event()
    try:
        with pytest.raises(VaultUnavailable, match=r"within 0\.05 seconds"):
            within(0.05, release.wait)
    finally:
        release.set()


def test_calls_that_never_answer_cost_a_bounded_number_of_threads() -> None:
    release = Event()
    begun: list[int] = []

    def hang() -> None:
        begun.append(1)
        release.wait()

    try:
        for _ in range(40):
            with pytest.raises(VaultUnavailable):
                within(0.005, hang)
    finally:
        release.set()
    assert len(begun) <= 32
    assert within(10, lambda: "again") == "again"


def test_an_error_is_raised_where_it_is_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        within(10, lambda: 1 / 0)
