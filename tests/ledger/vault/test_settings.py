"""`[wrapping]` of ledger.toml: every wrong setting is named, none repeated, and no secret read."""

import builtins
from pathlib import Path
from typing import Any

import pytest

from ledger.config import DataDirectory
from ledger.errors import ConfigurationError, VaultUnavailable
from ledger.vault.keepers import Keepers, open_wrapper
from ledger.vault.settings import read_settings
from ledger.vault.wrapper import FILE, WrappingKey

ARN = "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WHOLE = f"""
[wrapping]
keeper = "vault"

[wrapping.vault]
address = "https://vault.example.org:8200/"
key = "hub-ledger"
token_file = "/run/secrets/vault"

[wrapping.kms]
key = "{ARN}"

[wrapping.pkcs11]
module = "/usr/lib/softhsm/libsofthsm2.so"
token_label = "hub ledger"
key_label = "hub-ledger"
timeout_seconds = 20
"""
SECRET = "hvs.very-secret"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "ledger.toml"
    file.write_text(text)
    return file


def test_without_a_table_the_key_is_in_a_file(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, 'origin = "example.org/log"\n'))
    assert (settings.keeper, settings.vault, settings.kms, settings.pkcs11) == (FILE,) + (None,) * 3


def test_all_settings_are_read(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, WHOLE))
    assert settings.vault is not None
    assert settings.kms is not None
    assert settings.pkcs11 is not None
    assert settings.keeper == "vault"
    assert settings.vault.address == "https://vault.example.org:8200"
    assert (settings.vault.mount, settings.vault.timeout_seconds) == ("transit", 5)
    assert settings.kms.key == ARN
    assert (settings.pkcs11.token_label, settings.pkcs11.timeout_seconds) == ("hub ledger", 20)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('keeper = "vault"', 'keeper = "hvs.very-secret"', "keeper is one of"),
        ('keeper = "vault"', "keeper = 7", "keeper must be a text"),
        ("[wrapping.vault]", "[wrapping.volt]", "not known: volt"),
        ("https://vault", "http://vault", "in clear"),
        ("https://vault", "https://user:hvs.very-secret@vault", "must be an https"),
        ("https://vault", "ldap://vault", "must be an https"),
        ("https://vault.example.org:8200/", "https://vault.example.org:x/", "must be an https"),
        ('key = "hub-ledger"', 'key = "../hvs.very-secret"', "key may hold"),
        ('key = "hub-ledger"', "", "lacks the setting key"),
        ('token_file = "/run/secrets/vault"', 'token = "hvs.very-secret"', "names a secret"),
        ('token_file = "/run/secrets/vault"', 'tokenfile = "/x"', "not known: tokenfile"),
        ('token_file = "/run', 'token_file = "run', "absolute path"),
        (ARN, "alias/hub-ledger", "must be the ARN"),
        (ARN, ARN.replace("key/", "alias/"), "must be the ARN"),
        ("[wrapping.kms]\n", '[wrapping.kms]\naws_secret_access_key = "s"\n', "names a secret"),
        ("[wrapping.kms]\n", '[wrapping.kms]\nendpoint = "http://kms.example"\n', "in clear"),
        ("timeout_seconds = 20", "timeout_seconds = 0", "timeout_seconds must be"),
        ("timeout_seconds = 20", 'timeout_seconds = "5"', "timeout_seconds must be"),
        ("timeout_seconds = 20", 'pin = "hvs.very-secret"', "names a secret"),
        ("module = ", "modul = ", "lacks the setting module"),
        ("[wrapping]\nkeeper", "wrapping = 3\nkeeper", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_and_not_repeated(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in WHOLE
    with pytest.raises(ConfigurationError) as caught:
        read_settings(written(tmp_path, WHOLE.replace(old, new, 1)))
    assert said in caught.value.detail
    assert SECRET not in caught.value.detail


def test_a_keeper_that_is_chosen_is_described(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no table \[wrapping\.kms\]"):
        read_settings(written(tmp_path, '[wrapping]\nkeeper = "kms"\n'))


def test_plain_http_is_for_this_machine_alone(tmp_path: Path) -> None:
    for host in ("localhost", "127.0.0.1", "[::1]"):
        text = WHOLE.replace("https://vault.example.org", f"http://{host}")
        settings = read_settings(written(tmp_path, text))
        assert settings.vault is not None
        assert settings.vault.address == f"http://{host}:8200"


def test_a_secret_is_read_from_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    text = WHOLE.replace("/run/secrets/vault", str(file))
    vault = read_settings(written(tmp_path, text)).vault
    assert vault is not None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        vault.token()
    file.write_text(SECRET + "\n")
    for mode in (0o640, 0o604, 0o666):
        file.chmod(mode)
        with pytest.raises(ConfigurationError, match="chmod 600") as caught:
            vault.token()
        assert SECRET not in caught.value.detail
    file.chmod(0o600)
    assert vault.token() == SECRET
    file.write_text("hvs.renewed")
    assert vault.token() == "hvs.renewed"
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="on one line"):
        vault.token()


def test_else_a_secret_is_read_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = WHOLE.replace('token_file = "/run/secrets/vault"\n', "")
    settings = read_settings(written(tmp_path, text))
    assert settings.vault is not None
    assert settings.pkcs11 is not None
    monkeypatch.setenv("VAULT_TOKEN", SECRET)
    assert settings.vault.token() == SECRET
    monkeypatch.delenv("HUB_LEDGER_PKCS11_PIN", raising=False)
    with pytest.raises(ConfigurationError, match="HUB_LEDGER_PKCS11_PIN"):
        settings.pkcs11.pin()


@pytest.mark.parametrize(("keeper", "library"), [("vault", "hvac"), ("kms", "boto3")])
def test_a_keeper_whose_library_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeper: str, library: str
) -> None:
    found = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith(("hvac", "boto3", "ledger.vault.transit", "ledger.vault.kms")):
            raise ModuleNotFoundError(name)
        return found(name, *arguments, **named)

    written(tmp_path, WHOLE.replace('keeper = "vault"', f'keeper = "{keeper}"'))
    wrapper = Keepers(tmp_path, tmp_path / "keys")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=rf"{library}.*pip install 'hub-ledger\[{keeper}"):
        wrapper.newest()


def test_keys_wrapped_by_a_keeper_that_nobody_describes(sqlite_directory: DataDirectory) -> None:
    wrapper = open_wrapper(sqlite_directory)
    with pytest.raises(VaultUnavailable, match=r"no table \[wrapping\.vault\]"):
        wrapper.unwrap(WrappingKey("vault", "transit/x", 1), {"id": b"vault:v1:x"})
