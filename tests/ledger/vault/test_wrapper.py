"""What every keeper of wrapping keys must do, whichever it is."""

import base64
import logging
import os
import time
import traceback
from collections.abc import Callable
from uuid import uuid4

import pytest

from ledger.errors import ConfigurationError, VaultUnavailable
from ledger.vault.wrapper import KeyWrapper, WrappedKeyRefused, WrappingKey
from tests.ledger.vault.conftest import Kept


def some_keys(count: int = 1) -> dict[str, bytes]:
    return {str(uuid4()): os.urandom(32) for _ in range(count)}


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def refusal(kept: Kept) -> type[VaultUnavailable]:
    """How a wrapped key is refused. For one that names no key, or another key, moto answers that it
    may not be used; KMS itself has words for that."""
    return VaultUnavailable if kept.name == "kms" else WrappedKeyRefused


def test_what_is_wrapped_opens_again(kept: Kept) -> None:
    under = kept.wrapper.newest()
    keys = some_keys(3)
    wrapped = kept.wrapper.wrap(under, keys)
    assert list(wrapped) == list(keys)
    assert kept.again().unwrap(under, wrapped) == keys
    stored = b"".join(wrapped.values())
    assert not any(key in stored or base64.b64encode(key) in stored for key in keys.values())


def test_many_keys_are_wrapped_together(kept: Kept) -> None:
    # More than any keeper takes in one call or one time limit.
    under, keys = kept.wrapper.newest(), some_keys(70 if kept.name == "kms" else 150)
    assert kept.wrapper.unwrap(under, kept.wrapper.wrap(under, keys)) == keys


def test_nothing_is_wrapped_for_nothing(kept: Kept) -> None:
    under = kept.wrapper.newest()
    assert kept.wrapper.wrap(under, {}) == kept.wrapper.unwrap(under, {}) == {}


def test_one_key_wrapped_twice_gives_two_wrapped_keys(kept: Kept) -> None:
    under, keys = kept.wrapper.newest(), some_keys()
    assert kept.wrapper.wrap(under, keys) != kept.wrapper.wrap(under, keys)


def test_a_key_in_another_keys_row_is_refused(kept: Kept) -> None:
    under, keys = kept.wrapper.newest(), some_keys(2)
    (one, raw), (other, _) = kept.wrapper.wrap(under, keys).items()
    assert kept.wrapper.unwrap(under, {one: raw}) == {one: keys[one]}
    with pytest.raises(WrappedKeyRefused):
        kept.wrapper.unwrap(under, {other: raw})


def test_a_wrapped_key_that_was_tampered_with_is_refused(kept: Kept) -> None:
    under, keys = kept.wrapper.newest(), some_keys()
    ((key_id, raw),) = kept.wrapper.wrap(under, keys).items()
    damaged = [flipped(raw, at) for at in (0, len(raw) // 2, len(raw) - 6)]
    for tampered in [*damaged, raw[:-1], raw[: len(raw) // 2], b"", b"\xff" * len(raw)]:
        with pytest.raises(refusal(kept)):
            kept.wrapper.unwrap(under, {key_id: tampered})


def test_one_bad_key_among_good_ones_is_refused(kept: Kept) -> None:
    under, keys = kept.wrapper.newest(), some_keys(3)
    wrapped = kept.wrapper.wrap(under, keys)
    second = list(wrapped)[1]
    wrapped[second] = flipped(wrapped[second], len(wrapped[second]) // 2)
    with pytest.raises(WrappedKeyRefused):
        kept.wrapper.unwrap(under, wrapped)


def test_a_newer_wrapping_key_leaves_the_old_one_to_open(kept: Kept) -> None:
    old, keys = kept.wrapper.newest(), some_keys()
    wrapped = kept.wrapper.wrap(old, keys)
    other = kept.next()
    new = other.rotate(old)
    assert new != old
    # Whoever was cut short after this finds it, and makes no third.
    assert kept.next().rotate(old) == new
    assert other.newest() == new
    again = other.wrap(new, keys)
    # A process that began before the rotation opens what is under either.
    for wrapper in (kept.wrapper, other):
        assert wrapper.unwrap(old, wrapped) == wrapper.unwrap(new, again) == keys
        with pytest.raises(refusal(kept)):
            wrapper.unwrap(new, wrapped)
        with pytest.raises(refusal(kept)):
            wrapper.unwrap(old, again)
        assert wrapper.unwrap(old, wrapper.wrap(old, keys)) == keys


def test_a_wrapping_key_that_is_gone(kept: Kept) -> None:
    under = kept.wrapper.newest()
    wrapped = kept.wrapper.wrap(under, some_keys())
    kept.lose()
    after = kept.again()
    for ask in (after.unwrap, after.wrap):
        with pytest.raises(VaultUnavailable) as caught:
            ask(under, wrapped)
        assert not isinstance(caught.value, WrappedKeyRefused)
    if kept.name != "pkcs11":
        with pytest.raises(ConfigurationError):
            after.newest()


@pytest.mark.parametrize("name", ["other", ""])
def test_a_wrapping_key_of_another_name_or_version(kept: Kept, name: str) -> None:
    under, keys = kept.wrapper.newest(), some_keys()
    wrapped = kept.wrapper.wrap(under, keys)
    if name:
        stranger = WrappingKey(under.keeper, under.name[:-1] + "x", under.version)
    elif kept.name == "kms":
        return  # KMS has no versions: a key is named by its ARN.
    else:
        stranger = WrappingKey(under.keeper, under.name, under.version + 7)
    with pytest.raises(VaultUnavailable):
        kept.wrapper.unwrap(stranger, wrapped)
    with pytest.raises(VaultUnavailable):
        kept.wrapper.wrap(stranger, keys)


def test_a_keeper_that_is_not_there(kept: Kept) -> None:
    under = kept.wrapper.newest()
    wrapped = kept.wrapper.wrap(under, some_keys()) | (
        {} if kept.name == "vault" else some_keys(70)
    )
    for ask in (kept.unreachable.unwrap, kept.unreachable.wrap):
        began = time.monotonic()
        with pytest.raises(VaultUnavailable) as caught:
            ask(under, wrapped)
        assert not isinstance(caught.value, WrappedKeyRefused)
        # It was given 0.3 s; a machine that has other things to do is given more.
        assert time.monotonic() - began < 5


def test_no_error_and_no_log_line_holds_a_secret(
    kept: Kept, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    under, keys = kept.wrapper.newest(), some_keys(2)
    wrapped = kept.wrapper.wrap(under, keys)
    (one, raw), (other, _) = wrapped.items()
    told = [
        _told(ask)
        for ask in (
            lambda: kept.wrapper.unwrap(under, {other: raw}),
            lambda: kept.wrapper.unwrap(under, {one: flipped(raw, len(raw) // 2)}),
            lambda: kept.unreachable.wrap(under, keys),
            lambda: kept.unreachable.unwrap(under, wrapped),
        )
    ]
    kept.lose()
    after: KeyWrapper = kept.again()
    told += [_told(lambda: after.wrap(under, keys)), _told(lambda: after.unwrap(under, wrapped))]
    standard = capfd.readouterr()
    everything = "\n".join([*told, caplog.text, standard.out, standard.err])
    for secret in [*kept.secrets, *map(repr, keys.values())]:
        assert secret not in everything
    for key in keys.values():
        assert key.hex() not in everything
        # Without its ends, which depend on what it is encoded with.
        assert base64.b64encode(key).decode()[4:-4] not in everything


def _told(ask: Callable[[], object]) -> str:
    """Everything that an error could be shown with."""
    try:
        ask()
    except VaultUnavailable as error:
        return error.detail + repr(error) + "".join(traceback.format_exception(error))
    raise AssertionError("nothing was refused")
