"""HashiCorp Vault's transit engine as keeper of the wrapping key.

Guarantees: the wrapping key never leaves Vault. What Vault encrypts is a domain string, the key's
id and the key, so that a row in another row's place is refused whatever type the transit key has;
what it returns says under which version, which must be the version that was asked for. Many keys
are one call. Written for the HTTP API of the transit engine (`/v1/transit`), through `hvac`.

The token needs `read` and `update` on `keys/NAME`, and `update` on `encrypt/NAME`, `decrypt/NAME`
and `keys/NAME/rotate`. It must not have `create` on `encrypt/NAME`: Vault would answer for a key
that is gone by making another.
"""

import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, Unauthorized, VaultError

from ledger.errors import ConfigurationError, VaultUnavailable
from ledger.vault.settings import VaultSettings
from ledger.vault.threads import within
from ledger.vault.wrapper import KEY_BYTES, WrappedKeyRefused, WrappingKey, bound_to

VAULT: Final = "vault"
#: Keys in one call.
BATCH: Final = 128
#: What Vault says of a key that is gone or may no longer be used, not of the ciphertext.
_GONE: Final = (
    "encryption key not found",
    "no existing key named",
    "disallowed by policy",
    "no key with version",
)
_KINDS: Final = ("aes256-gcm96", "aes128-gcm96", "chacha20-poly1305")

# At their most talkative these libraries print what they send.
for _name in ("hvac", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class TransitKeyWrapper:
    """Wraps under a key of a transit engine."""

    def __init__(self, settings: VaultSettings) -> None:
        self._settings = settings

    def newest(self) -> WrappingKey:
        settings = self._settings
        try:
            data = self._call(
                lambda transit: transit.read_key(name=settings.key, mount_point=settings.mount)
            )["data"]
            kind, derived = data["type"], bool(data["derived"])
            version = int(data["latest_version"])
        except InvalidPath as error:
            raise ConfigurationError(
                "Vault has no transit key of the name in [wrapping.vault] key. Make it first."
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise _not_as_expected() from error
        if kind not in _KINDS or derived:
            raise ConfigurationError(
                f"The transit key must be of type {', '.join(_KINDS)}, and not derived."
            )
        return WrappingKey(VAULT, self._name, version)

    def rotate(self, after: WrappingKey) -> WrappingKey:
        newest = self.newest()
        if (after.keeper, after.name) != (VAULT, self._name) or newest.version > after.version:
            return newest
        settings = self._settings
        self._call(
            lambda transit: transit.rotate_key(name=settings.key, mount_point=settings.mount)
        )
        return self.newest()

    def wrap(self, under: WrappingKey, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        prefix = _prefix(under)
        plain = [_b64(bound_to(key_id) + key) for key_id, key in keys.items()]

        def ask(transit: Any, batch: list[dict[str, str]]) -> Any:
            return transit.encrypt_data(
                name=under.name.rpartition("/")[2],
                key_version=under.version,
                batch_input=batch,
                mount_point=under.name.rpartition("/")[0],
            )

        found = self._batches("plaintext", "ciphertext", plain, ask)
        if not all(text.startswith(prefix) for text in found):
            raise _not_as_expected()
        return {key_id: text.encode() for key_id, text in zip(keys, found, strict=True)}

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        texts = [_ciphertext(under, raw) for raw in wrapped.values()]

        def ask(transit: Any, batch: list[dict[str, str]]) -> Any:
            return transit.decrypt_data(
                name=under.name.rpartition("/")[2],
                batch_input=batch,
                mount_point=under.name.rpartition("/")[0],
            )

        found = self._batches("ciphertext", "plaintext", texts, ask)
        return {key_id: _opened(key_id, text) for key_id, text in zip(wrapped, found, strict=True)}

    @property
    def _name(self) -> str:
        return f"{self._settings.mount}/{self._settings.key}"

    def _batches(
        self,
        given: str,
        wanted: str,
        items: Sequence[str],
        ask: Callable[..., Any],
    ) -> list[str]:
        """One member of every result, a batch at a time."""
        found: list[str] = []
        for start in range(0, len(items), BATCH):
            batch = [{given: item} for item in items[start : start + BATCH]]
            try:
                reply = self._call(partial(ask, batch=batch))
            except InvalidRequest as error:
                reply = error.json
                if not isinstance(reply, dict) or "data" not in reply:
                    raise _refusal(given, [str(text) for text in error.errors or ()]) from error
            try:
                results = reply["data"]["batch_results"]
                errors = [one["error"] for one in results if one.get("error")]
                if errors:
                    raise _refusal(given, errors)
                if len(results) != len(batch):
                    raise _not_as_expected()
                found += [str(one[wanted]) for one in results]
            except (KeyError, TypeError, AttributeError) as error:
                raise _not_as_expected() from error
        return found

    def _call(self, ask: Callable[[Any], Any]) -> Any:
        """One call, within the time allowed. InvalidPath and InvalidRequest are the caller's to
        understand."""
        try:
            return within(self._settings.timeout_seconds, lambda: self._ask(ask))
        except (Forbidden, Unauthorized) as error:
            raise VaultUnavailable("Vault refuses the token, or what it asks for.") from error
        except (InvalidPath, InvalidRequest):
            raise
        except (VaultError, requests.RequestException, ValueError) as error:
            raise VaultUnavailable(
                "Vault does not answer as it should. Try again later."
            ) from error

    def _ask(self, ask: Callable[[Any], Any]) -> Any:
        settings = self._settings
        client = hvac.Client(
            url=settings.address,
            token=settings.token(),
            namespace=settings.namespace,
            timeout=settings.timeout_seconds,
            verify=str(settings.ca_file) if settings.ca_file else True,
            # A token must not follow whoever asks for it elsewhere.
            allow_redirects=False,
        )
        try:
            return ask(client.secrets.transit)
        finally:
            client.adapter.close()


def _prefix(under: WrappingKey) -> str:
    return f"vault:v{under.version}:"


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _ciphertext(under: WrappingKey, raw: bytes) -> str:
    """A wrapped key as Vault takes it; refused when it is of another version."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise WrappedKeyRefused from error
    if not text.startswith(_prefix(under)):
        raise WrappedKeyRefused
    return text


def _opened(key_id: str, text: str) -> bytes:
    prefix = bound_to(key_id)
    try:
        plain = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _not_as_expected() from error
    if not plain.startswith(prefix) or len(plain) != len(prefix) + KEY_BYTES:
        raise WrappedKeyRefused
    return plain[len(prefix) :]


def _refusal(given: str, errors: Sequence[str]) -> VaultUnavailable:
    """What Vault's words about a request mean. They are not passed on."""
    known = given == "ciphertext" and errors
    if not known or any(gone in text for text in errors for gone in _GONE):
        return VaultUnavailable("Vault no longer has the wrapping key, or may not use it.")
    return WrappedKeyRefused()


def _not_as_expected() -> VaultUnavailable:
    return VaultUnavailable("Vault's answer is not as the transit engine's is documented.")
