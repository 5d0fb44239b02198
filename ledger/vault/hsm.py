"""A PKCS#11 device (a hardware security module) as keeper of the wrapping key.

Guarantees: the wrapping keys are made in the device, sensitive and not extractable, and never
leave it. AES-256-GCM with a random 96-bit nonce; the associated data is a domain string and the
key's id. A version of the wrapping key is an object of its own, with the label of the settings and
its version as a 32-bit big-endian CKA_ID. One session is used at a time, and opened again when the
device has lost it.
"""

import os
import struct
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import (
    DataInvalid,
    EncryptedDataInvalid,
    EncryptedDataLenRange,
    GeneralError,
    NoSuchKey,
    NoSuchToken,
    PinIncorrect,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
)

from ledger.errors import ConfigurationError, VaultUnavailable
from ledger.vault.settings import Pkcs11Settings
from ledger.vault.threads import within
from ledger.vault.wrapper import KEY_BYTES, WrappedKeyRefused, WrappingKey, bound_to

PKCS11: Final = "pkcs11"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
#: Keys within one time limit.
_GROUP: Final = 64
#: What devices answer to a tag that does not fit.
_NOT_WHAT_WAS_ENCRYPTED: Final = (
    DataInvalid,
    EncryptedDataInvalid,
    EncryptedDataLenRange,
    GeneralError,
)
_VERSION: Final = struct.Struct(">I")

T = TypeVar("T")


class Pkcs11KeyWrapper:
    """Wraps under AES keys of a token."""

    def __init__(self, settings: Pkcs11Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._session: Any = None
        #: A PIN that the token has refused: a few more attempts would lock it.
        self._refused = ""

    def newest(self) -> WrappingKey:
        versions = self._with_session(self._versions)
        if not versions:
            raise ConfigurationError(
                "The token has no AES key with the label of [wrapping.pkcs11] key_label. "
                "hub-ledger rotate-wrapping-key makes one."
            )
        return self._named(max(versions))

    def rotate(self, after: WrappingKey) -> WrappingKey:
        ours = (after.keeper, after.name) == (PKCS11, self._name)

        def make(session: Any) -> int:
            versions = self._versions(session)
            newest = max(versions, default=0)
            if newest > (after.version if ours else 0):
                return newest
            session.generate_key(
                KeyType.AES,
                8 * KEY_BYTES,
                label=self._settings.key_label,
                id=_VERSION.pack(newest + 1),
                store=True,
                template={
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    Attribute.PRIVATE: True,
                    Attribute.ENCRYPT: True,
                    Attribute.DECRYPT: True,
                    Attribute.WRAP: False,
                    Attribute.UNWRAP: False,
                    Attribute.SIGN: False,
                    Attribute.VERIFY: False,
                },
            )
            return newest + 1

        return self._named(self._with_session(make))

    def wrap(self, under: WrappingKey, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        def seal(key: Any, key_id: str) -> bytes:
            nonce = os.urandom(_NONCE_BYTES)
            params = GCMParams(nonce, bound_to(key_id), 8 * _TAG_BYTES)
            sealed = key.encrypt(keys[key_id], mechanism=Mechanism.AES_GCM, mechanism_param=params)
            return nonce + bytes(sealed)

        return self._each(under, list(keys), seal)

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        def unseal(key: Any, key_id: str) -> bytes:
            raw = wrapped[key_id]
            if len(raw) != _NONCE_BYTES + KEY_BYTES + _TAG_BYTES:
                raise WrappedKeyRefused
            params = GCMParams(raw[:_NONCE_BYTES], bound_to(key_id), 8 * _TAG_BYTES)
            try:
                return bytes(
                    key.decrypt(
                        raw[_NONCE_BYTES:], mechanism=Mechanism.AES_GCM, mechanism_param=params
                    )
                )
            except _NOT_WHAT_WAS_ENCRYPTED as error:
                raise WrappedKeyRefused from error

        return self._each(under, list(wrapped), unseal)

    @property
    def _name(self) -> str:
        return f"{self._settings.token_label}/{self._settings.key_label}"

    def _named(self, version: int) -> WrappingKey:
        return WrappingKey(PKCS11, self._name, version)

    def _versions(self, session: Any) -> list[int]:
        found = session.get_objects(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.LABEL: self._settings.key_label,
            }
        )
        ids = [bytes(key.id) for key in found]
        return [_VERSION.unpack(one)[0] for one in ids if len(one) == _VERSION.size]

    def _each(
        self, under: WrappingKey, key_ids: list[str], work: Callable[[Any, str], bytes]
    ) -> dict[str, bytes]:
        token, label = self._settings.token_label + "/", under.name
        if under.keeper != PKCS11 or not label.startswith(token):
            raise VaultUnavailable("The wrapping key is in another token than the settings name.")

        def group(part: list[str], session: Any) -> dict[str, bytes]:
            key = session.get_key(
                object_class=ObjectClass.SECRET_KEY,
                key_type=KeyType.AES,
                label=label.removeprefix(token),
                id=_VERSION.pack(under.version),
            )
            return {key_id: work(key, key_id) for key_id in part}

        found: dict[str, bytes] = {}
        for start in range(0, len(key_ids), _GROUP):
            part = key_ids[start : start + _GROUP]
            found |= self._with_session(partial(group, part))
        return found

    def _with_session(self, work: Callable[[Any], T]) -> T:
        def call() -> T:
            with self._lock:
                if self._session is None:
                    self._session = self._open()
                try:
                    return work(self._session)
                except (NoSuchKey, WrappedKeyRefused):
                    raise
                except PKCS11Error:
                    # Whatever became of it, the next call begins afresh.
                    self._session = None
                    raise

        try:
            return within(self._settings.timeout_seconds, call)
        except NoSuchKey as error:
            raise VaultUnavailable("The token no longer has the wrapping key.") from error
        except (PinIncorrect, PinLocked) as error:
            raise _pin_refused() from error
        except NoSuchToken as error:
            raise VaultUnavailable(
                "No token with the label of [wrapping.pkcs11] token_label is there."
            ) from error
        except PKCS11Error as error:
            raise VaultUnavailable("The PKCS#11 token cannot be used. Try again later.") from error

    def _open(self) -> Any:
        if not self._settings.module.is_file():
            raise VaultUnavailable("The PKCS#11 module of [wrapping.pkcs11] module is not there.")
        token = pkcs11.lib(str(self._settings.module)).get_token(
            token_label=self._settings.token_label
        )
        pin = self._settings.pin()
        if pin == self._refused:
            raise _pin_refused()
        try:
            return token.open(rw=True, user_pin=pin)
        except UserAlreadyLoggedIn:
            # Logging in is for a process and a token: another session of ours did.
            return token.open(rw=True)
        except PinIncorrect:
            self._refused = pin
            raise


def _pin_refused() -> VaultUnavailable:
    return VaultUnavailable(
        "The token refuses its PIN, or is locked. It is not asked again with this PIN, so that it "
        "does not lock."
    )
