"""AWS KMS as keeper of the wrapping key.

Guarantees: the wrapping key never leaves KMS; every key is bound to its id by the encryption
context, and to one KMS key, by its ARN. KMS takes one key a call: several calls go side by side,
each bounded, so that many keys take seconds and an unreachable KMS one time limit.

The credentials need `kms:Encrypt`, `kms:Decrypt` and `kms:DescribeKey` on the key. KMS replaces the
material of a key by itself, if asked, and keeps the old: for that nothing need be done here. To
wrap under another KMS key, name it in ledger.toml and run `hub-ledger rotate-wrapping-key`.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ledger.errors import ConfigurationError, VaultUnavailable
from ledger.vault.settings import KmsSettings
from ledger.vault.threads import within
from ledger.vault.wrapper import KEY_BYTES, WrappedKeyRefused, WrappingKey

KMS: Final = "kms"
#: Calls under way at one time, and keys within one time limit.
_SIDE_BY_SIDE: Final = 8
_GROUP: Final = 64
_REFUSED: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})

# At their most talkative these libraries print what they send, keys included.
for _name in ("boto3", "botocore", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class KmsKeyWrapper:
    """Wraps under a symmetric KMS key."""

    def __init__(self, settings: KmsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    def newest(self) -> WrappingKey:
        key = self._settings.key
        try:
            found = self._within(lambda: self._client(key).describe_key(KeyId=key))
            about = dict(found["KeyMetadata"])
        except ClientError as error:
            if _code(error) == "NotFoundException":
                raise ConfigurationError(
                    "AWS has no key with the ARN in [wrapping.kms] key, in that region."
                ) from error
            raise _unavailable() from error
        kind = (about.get("KeySpec"), about.get("KeyUsage"))
        if kind != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
            raise ConfigurationError("[wrapping.kms] key must be a symmetric key for encryption.")
        if not about.get("Enabled"):
            raise ConfigurationError("[wrapping.kms] key is disabled, or about to be deleted.")
        return WrappingKey(KMS, self._settings.key, 1)

    def rotate(self, after: WrappingKey) -> WrappingKey:
        if after.keeper == KMS and after.name == self._settings.key:
            raise ConfigurationError(
                "New keys are wrapped under this KMS key already. KMS replaces its material by "
                "itself; to wrap under another, put its ARN into [wrapping.kms] key."
            )
        return self.newest()

    def wrap(self, under: WrappingKey, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        def ask(key_id: str) -> bytes:
            found = self._client(under.name).encrypt(
                KeyId=under.name, Plaintext=keys[key_id], EncryptionContext=_context(key_id)
            )
            return bytes(found["CiphertextBlob"])

        return self._each(keys, ask)

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        def ask(key_id: str) -> bytes:
            found = self._client(under.name).decrypt(
                KeyId=under.name,
                CiphertextBlob=wrapped[key_id],
                EncryptionContext=_context(key_id),
            )
            return bytes(found["Plaintext"])

        opened = self._each(wrapped, ask)
        if any(len(key) != KEY_BYTES for key in opened.values()):
            raise WrappedKeyRefused
        return opened

    def _client(self, arn: str) -> Any:
        """A client for the region of a key: they take a while to make, and are thread-safe."""
        region = arn.split(":")[3]
        with self._lock:
            if region not in self._clients:
                self._clients[region] = self._make_client(region)
            return self._clients[region]

    def _make_client(self, region: str) -> Any:
        seconds = self._settings.timeout_seconds
        return boto3.client(
            "kms",
            region_name=region,
            endpoint_url=self._settings.endpoint,
            config=Config(
                connect_timeout=seconds,
                read_timeout=seconds,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=_SIDE_BY_SIDE,
            ),
        )

    def _each(self, keys: Mapping[str, bytes], ask: Callable[[str], bytes]) -> dict[str, bytes]:
        """The answer for every key, groups of them within one time limit each."""

        def group(key_ids: list[str]) -> list[bytes]:
            if len(key_ids) == 1:
                return [ask(key_ids[0])]
            with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
                return list(pool.map(ask, key_ids))

        key_ids, found = list(keys), dict[str, bytes]()
        for start in range(0, len(key_ids), _GROUP):
            part = key_ids[start : start + _GROUP]
            try:
                answers = self._within(partial(group, part))
            except ClientError as error:
                if _code(error) in _REFUSED:
                    raise WrappedKeyRefused from error
                raise _unavailable() from error
            found.update(zip(part, answers, strict=True))
        return found

    def _within(self, ask: Callable[[], Any]) -> Any:
        try:
            return within(self._settings.timeout_seconds, ask)
        except BotoCoreError as error:
            raise VaultUnavailable(
                "AWS KMS cannot be asked: it does not answer, or there are no credentials for it."
            ) from error


def _context(key_id: str) -> dict[str, str]:
    return {"hub-ledger-key-id": key_id}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _unavailable() -> VaultUnavailable:
    return VaultUnavailable("AWS KMS refuses the wrapping key: it is gone, disabled or not ours.")
