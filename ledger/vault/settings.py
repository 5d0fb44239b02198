"""Where the wrapping key is kept: the table `[wrapping]` of ledger.toml.

    [wrapping]
    keeper = "vault"                 # or "kms", "pkcs11", "file" (what holds without this table)

    [wrapping.vault]                 # HashiCorp Vault's transit engine
    address = "https://vault.example.org:8200"
    key = "hub-ledger"
    token_file = "/run/secrets/vault-token"    # else the environment variable VAULT_TOKEN

    [wrapping.kms]                   # AWS KMS; credentials as the AWS tools find them
    key = "arn:aws:kms:eu-west-2:111122223333:key/..."

    [wrapping.pkcs11]                # a hardware security module
    module = "/usr/lib/softhsm/libsofthsm2.so"
    token_label = "hub-ledger"
    key_label = "hub-ledger"
    pin_file = "/run/secrets/pin"    # else the environment variable HUB_LEDGER_PKCS11_PIN

Guarantees: a setting that is missing, misspelt or of the wrong kind is a ConfigurationError that
names it and repeats no value; a secret is never read from ledger.toml, and from a file only when
its owner alone may read it. The tables of keepers that are no longer chosen may stay: what is still
wrapped by them is opened by them.
"""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.errors import ConfigurationError

KEEPERS: Final = ("file", "vault", "kms", "pkcs11")
DEFAULT_SECONDS: Final = 5.0
PIN_VARIABLE: Final = "HUB_LEDGER_PKCS11_PIN"

_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
_PATH = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)*", re.ASCII)
_SECRET = re.compile(r"(?:.*_)?(?:token|pin|password|secret|secret_id|access_key|credentials?)")


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """HashiCorp Vault: `timeout_seconds` bounds every call."""

    address: str
    key: str
    mount: str
    namespace: str | None
    token_file: Path | None
    ca_file: Path | None
    timeout_seconds: float

    def token(self) -> str:
        """The token as it is now: whoever renews it writes the file again."""
        return _secret(self.token_file, "VAULT_TOKEN", "[wrapping.vault] token_file")


@dataclass(frozen=True, slots=True)
class KmsSettings:
    """AWS KMS, in the region that the key's ARN names. `endpoint` replaces its own address."""

    key: str
    endpoint: str | None
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Pkcs11Settings:
    """A PKCS#11 module, and the token and key in it by their labels."""

    module: Path
    token_label: str
    key_label: str
    pin_file: Path | None
    timeout_seconds: float

    def pin(self) -> str:
        """The user's PIN of the token."""
        return _secret(self.pin_file, PIN_VARIABLE, "[wrapping.pkcs11] pin_file")


@dataclass(frozen=True, slots=True)
class WrappingSettings:
    """The keeper that is chosen, and those that are described."""

    keeper: str
    vault: VaultSettings | None
    kms: KmsSettings | None
    pkcs11: Pkcs11Settings | None


def read_settings(file: Path) -> WrappingSettings:
    """The wrapping settings of a configuration file; raises ConfigurationError. Where there is none
    (a directory that is being restored), the wrapping key is in a file of its own."""
    try:
        values = tomllib.loads(file.read_text("utf-8")).get("wrapping", {})
    except FileNotFoundError:
        values = {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read.") from error
    top = _Table("[wrapping]", values)
    keeper = top.text("keeper", "file")
    if keeper not in KEEPERS:
        raise ConfigurationError(f"[wrapping] keeper is one of: {', '.join(KEEPERS)}.")
    vault, kms, pkcs11 = (top.table(name) for name in ("vault", "kms", "pkcs11"))
    top.finish()
    if keeper != "file" and keeper not in values:
        raise ConfigurationError(
            f"[wrapping] keeper is {keeper}, but there is no table [wrapping.{keeper}]."
        )
    return WrappingSettings(
        keeper,
        None if vault is None else _vault(vault),
        None if kms is None else _kms(kms),
        None if pkcs11 is None else _pkcs11(pkcs11),
    )


def _vault(table: "_Table") -> VaultSettings:
    settings = VaultSettings(
        address=_address(table, "address", table.text("address")),
        key=table.path("key"),
        mount=table.path("mount", "transit"),
        namespace=table.text("namespace", "") or None,
        token_file=table.file("token_file"),
        ca_file=table.file("ca_file"),
        timeout_seconds=table.seconds(),
    )
    table.finish()
    return settings


def _kms(table: "_Table") -> KmsSettings:
    key, endpoint = table.text("key"), table.text("endpoint", "")
    if _ARN.fullmatch(key) is None:
        # An alias or a bare id may come to mean another key.
        raise ConfigurationError(f"{table.where} key must be the ARN of a key (not of an alias).")
    settings = KmsSettings(
        key=key,
        endpoint=_address(table, "endpoint", endpoint) if endpoint else None,
        timeout_seconds=table.seconds(),
    )
    table.finish()
    return settings


def _pkcs11(table: "_Table") -> Pkcs11Settings:
    module = table.file("module")
    if module is None:
        raise ConfigurationError(f"{table.where} lacks the setting module.")
    settings = Pkcs11Settings(
        module=module,
        token_label=table.text("token_label"),
        key_label=table.text("key_label"),
        pin_file=table.file("pin_file"),
        timeout_seconds=table.seconds(),
    )
    table.finish()
    return settings


class _Table:
    """A table of settings that knows which of them were asked for."""

    def __init__(self, where: str, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise ConfigurationError(f"{where} of ledger.toml must be a table.")
        self.where, self._values, self._asked = where, values, set[str]()

    def text(self, name: str, default: str | None = None) -> str:
        self._asked.add(name)
        value = self._values.get(name, default)
        if value is None:
            raise ConfigurationError(f"{self.where} lacks the setting {name}.")
        if not isinstance(value, str) or not value.isprintable() or (not value and default != ""):
            raise ConfigurationError(f"{self.where} {name} must be a text on one line.")
        return value

    def path(self, name: str, default: str | None = None) -> str:
        """A name that becomes part of a URL."""
        value = self.text(name, default)
        if _PATH.fullmatch(value) is None:
            raise ConfigurationError(
                f"{self.where} {name} may hold letters, digits, underscores and, after the "
                "first of them, hyphens, dots and slashes."
            )
        return value

    def file(self, name: str) -> Path | None:
        value = self.text(name, "")
        if value and not Path(value).is_absolute():
            raise ConfigurationError(f"{self.where} {name} must be an absolute path.")
        return Path(value) if value else None

    def seconds(self) -> float:
        self._asked.add("timeout_seconds")
        value = self._values.get("timeout_seconds", DEFAULT_SECONDS)
        if type(value) not in (int, float) or not 0.05 <= value <= 60:
            raise ConfigurationError(f"{self.where} timeout_seconds must be 0.05 to 60.")
        return float(value)

    def table(self, name: str) -> "_Table | None":
        self._asked.add(name)
        if name not in self._values:
            return None
        return _Table(f"{self.where[:-1]}.{name}]", self._values[name])

    def finish(self) -> None:
        """Refuse what nobody asked for: a misspelt setting, or a secret."""
        for name in sorted(self._values.keys() - self._asked):
            if _SECRET.fullmatch(name):
                raise ConfigurationError(
                    f"{self.where} has a setting that names a secret. Secrets are never kept in "
                    "ledger.toml: use the environment, or a file of mode 0600. Change the secret: "
                    "it may have been read."
                )
            shown = name if re.fullmatch(r"[a-z0-9_]{1,40}", name) else "(a name that is no name)"
            raise ConfigurationError(f"{self.where} has a setting that is not known: {shown}.")


def _address(table: _Table, name: str, value: str) -> str:
    """A URL that keys may be sent to: over TLS, or to this machine itself."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    plain = parts.username is None and not parts.query and not parts.fragment
    if not host or not plain or parts.scheme not in ("http", "https"):
        raise ConfigurationError(f"{table.where} {name} must be an https:// URL.")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise ConfigurationError(
            f"{table.where} {name} must be an https:// URL: keys would cross the network in clear."
        )
    return value.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _secret(file: Path | None, variable: str, setting: str) -> str:
    if file is None:
        secret = os.environ.get(variable, "")
        if not secret:
            raise ConfigurationError(f"Set the environment variable {variable}, or {setting}.")
        return secret
    try:
        mode = file.stat().st_mode
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file of {setting} cannot be read.") from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(
            f"The file of {setting} must be readable by its owner alone: chmod 600."
        )
    if not secret or not secret.isprintable():
        raise ConfigurationError(f"The file of {setting} must hold the secret on one line.")
    return secret
