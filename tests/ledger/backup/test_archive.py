"""Archives: what is signed is what is read, and nothing that was erased is in one."""

import base64
import io
import json
import tracemalloc
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from ledger import config
from ledger.backup.archive import EVENT_STORE, FORMAT, KEY_STORE, ArchiveReader, Manifest
from ledger.backup.make import back_up
from ledger.config import DataDirectory
from ledger.errors import Busy, ConfigurationError, IntegrityAlarm
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import Ed25519Signer, Note
from tests.ledger.backup.world import SQLITE, World
from tests.ledger.copies import in_keys


def opened(path: Path, kind: str = EVENT_STORE) -> ArchiveReader:
    return ArchiveReader(path, kind)


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def blobs(members: dict[str, bytes]) -> bytes:
    """Everything in an archive, with what is in base64 decoded."""
    found = io.BytesIO()
    for name, content in members.items():
        found.write(content)
        if name.startswith("tables/"):
            for line in content.splitlines()[1:]:
                for value in json.loads(line):
                    if isinstance(value, str) and len(value) % 4 == 0:
                        found.write(base64.b64decode(value + "===="))
    return found.getvalue()


def test_the_manifest_says_what_it_is(world: World) -> None:
    for number, size in enumerate(world.sizes, 1):
        key = world.directory.signing_keys().ed25519.key
        with closing(opened(world.events(number))) as events:
            events.check(key)
            manifest = events.manifest
        assert (manifest.size, manifest.origin) == (size, world.directory.origin)
        assert manifest.horizon_days == config.DEFAULT_EVENT_BACKUP_DAYS
        with closing(opened(world.keys(number), KEY_STORE)) as keys:
            keys.check(key)
            assert keys.manifest.horizon_days == config.DEFAULT_KEY_BACKUP_DAYS
            assert keys.manifest.applied_through <= size
        assert (manifest.destroy_by - keys.manifest.destroy_by).days == 335


def test_what_is_erased_is_in_no_backup_made_later(world: World) -> None:
    before, after = (blobs(parts(world.events(number))) for number in (1, 2))
    keys_before, keys_after = (blobs(parts(world.keys(number))) for number in (1, 2))
    assert world.ciphertext in before
    assert world.wrapped in keys_before
    assert world.ciphertext[:64] not in after
    assert world.wrapped not in keys_after


def test_no_secret_is_in_either(world: World) -> None:
    directory = world.directory
    secrets = [path.read_bytes().strip() for path in directory.keys_path.glob("*.key")]
    secrets.append(bytes.fromhex(secrets[-1].decode()) if len(secrets[-1]) == 64 else secrets[0])
    everything = b"".join(blobs(parts(path)) for path in (world.events(3), world.keys(3)))
    assert len(secrets) == 4
    assert not [secret for secret in secrets if secret in everything]
    assert b"postgresql://" not in everything


def test_both_databases_give_the_same_parts(world: World) -> None:
    names = set(parts(world.events(3)))
    assert names == {
        "manifest",
        "checkpoint",
        "policy",
        *(
            f"tables/{table}"
            for table in (
                "cells",
                "destroyed_keys",
                "duplicates",
                "entries",
                "expired",
                "expiry_state",
                "head",
                "lost",
                "publications",
                "restored_expiries",
                "sealed",
                "stream_heads",
                "tombstones",
            )
        ),
    }
    header = json.loads(parts(world.events(3))["tables/entries"].splitlines()[0])
    assert header["columns"][0] == "number"


def altered(world: World, tmp_path: Path, change: str) -> Path:
    members = parts(world.events(1))
    if change == "a byte of a part":
        entries = members["tables/entries"]
        members["tables/entries"] = entries[:-5] + bytes([entries[-5] ^ 1]) + entries[-4:]
    elif change == "a row less":
        members["tables/sealed"] = b"".join(members["tables/sealed"].splitlines(True)[:-1])
    elif change == "a part less":
        del members["tables/sealed"]
    elif change == "a part more":
        members["tables/other"] = b"{}\n"
    elif change == "another size":
        members["manifest"] = members["manifest"].replace(b'"size":', b'"size":1', 1)
    elif change == "another key":
        text = Note.parse(members["manifest"]).text
        signer = Ed25519Signer.generate(world.directory.origin)
        members["manifest"] = Note(text, (signer.sign(text),)).encode()
    return write(tmp_path / "altered", members)


@SQLITE
@pytest.mark.parametrize(
    "change",
    [
        "a byte of a part",
        "a row less",
        "a part less",
        "a part more",
        "another size",
        "another key",
    ],
)
def test_what_was_altered_is_refused(world: World, tmp_path: Path, change: str) -> None:
    path = altered(world, tmp_path, change)
    with pytest.raises(IntegrityAlarm), closing(opened(path)) as reader:
        reader.check(world.directory.signing_keys().ed25519.key)


@SQLITE
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_part_that_is_there_twice_is_refused(world: World, tmp_path: Path) -> None:
    path = write(tmp_path / "twice", parts(world.events(1)))
    for name in ("tables/sealed", "manifest"):
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, archive.read(name))
        with pytest.raises(IntegrityAlarm, match="parts that its manifest lists"):
            checked(world, path)


@SQLITE
@pytest.mark.parametrize(
    ("method", "name"),
    [
        (zipfile.ZIP_DEFLATED, "tables/sealed"),
        (zipfile.ZIP_BZIP2, "tables/sealed"),
        (zipfile.ZIP_BZIP2, "manifest"),
    ],
)
def test_a_bomb_is_not_unpacked(world: World, tmp_path: Path, method: int, name: str) -> None:
    members = parts(world.events(1))
    size = 40 << 20
    with zipfile.ZipFile(tmp_path / "bomb", "w", method) as archive:
        for other, content in members.items():
            if other != name:
                archive.writestr(other, content)
        with archive.open(name, "w") as part:
            for _ in range(size >> 20):
                part.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises((IntegrityAlarm, ConfigurationError)):
            checked(world, tmp_path / "bomb")
        assert tracemalloc.get_traced_memory()[1] < size // 4
    finally:
        tracemalloc.stop()


def checked(world: World, path: Path) -> None:
    with closing(opened(path)) as reader:
        reader.check(world.directory.signing_keys().ed25519.key)


@SQLITE
def test_what_is_cut_short_or_something_else_is_refused(world: World, tmp_path: Path) -> None:
    whole = world.events(1).read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        cut = tmp_path / "cut"
        cut.write_bytes(whole[:length])
        with pytest.raises(ConfigurationError, match="is not a backup"):
            opened(cut)
    with pytest.raises(ConfigurationError, match="is not a backup"):
        opened(world.log)
    with pytest.raises(ConfigurationError, match="--keys-from"):
        opened(world.keys(1))
    with pytest.raises(ConfigurationError, match="--from"):
        opened(world.events(1), KEY_STORE)


@SQLITE
def test_a_damaged_file_is_an_alarm(world: World, tmp_path: Path) -> None:
    raw = bytearray(world.events(1).read_bytes())
    key = world.directory.signing_keys().ed25519.key
    with zipfile.ZipFile(world.events(1)) as archive:
        place = archive.getinfo("tables/sealed").header_offset + 200
    raw[place] ^= 0xFF
    path = tmp_path / "damaged"
    path.write_bytes(raw)
    with pytest.raises(IntegrityAlarm), closing(opened(path)) as reader:
        reader.check(key)


@SQLITE
def test_a_manifest_is_no_checkpoint_and_the_reverse(world: World, tmp_path: Path) -> None:
    members = parts(world.events(1))
    with pytest.raises(FormatError):
        Checkpoint.parse(Note.parse(members["manifest"]).text)
    checkpoint = write(tmp_path / "x", {**members, "manifest": members["checkpoint"]})
    with pytest.raises(IntegrityAlarm, match="another format"):
        opened(checkpoint)


@SQLITE
def test_a_newer_format_is_named(world: World, tmp_path: Path) -> None:
    members = parts(world.events(1))
    newer = members["manifest"].replace(FORMAT.encode(), b"hub-ledger/backup@v2")
    with pytest.raises(IntegrityAlarm, match="newer version"):
        opened(write(tmp_path / "x", {**members, "manifest": newer}))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"parts":{}}', '{"parts":{"a":1}}', "nonsense"])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(IntegrityAlarm):
        Manifest.parse(f"{FORMAT}\n{text}\n")


@SQLITE
def test_nothing_is_written_over(world: World, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("an older backup")
    for to, keys_to in ((there, tmp_path / "keys"), (tmp_path / "events", there)):
        with pytest.raises(ConfigurationError, match="exists already"):
            back_up(world.directory.path, to, keys_to)
    with pytest.raises(ConfigurationError, match="two files"):
        back_up(world.directory.path, tmp_path / "one", tmp_path / "one")
    assert there.read_text() == "an older backup"
    assert list(tmp_path.iterdir()) == [there]


@SQLITE
def test_backups_are_their_owners_alone(world: World) -> None:
    for path in (world.events(1), world.keys(1)):
        assert path.stat().st_mode & 0o077 == 0


def test_stores_that_do_not_suit_each_other_make_no_pair(
    sqlite_directory: DataDirectory, tmp_path: Path
) -> None:
    in_keys(sqlite_directory, "UPDATE vault_state SET applied_through = 1000000")
    with pytest.raises(Busy):
        back_up(sqlite_directory.path, tmp_path / "events", tmp_path / "keys")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    back_up(sqlite_directory.path, tmp_path / "events", None)


def test_key_backups_have_the_shorter_horizon(sqlite_directory: DataDirectory) -> None:
    settings = sqlite_directory.path / "ledger.toml"
    text = settings.read_text()
    assert "event_backup_days = 365\nkey_backup_days = 30\n" in text
    settings.write_text(text.replace("key_backup_days = 30", "key_backup_days = 365"))
    with pytest.raises(ConfigurationError, match="fewer days"):
        config.load(sqlite_directory.path)
    settings.write_text(text.replace("key_backup_days = 30\n", ""))
    assert config.load(sqlite_directory.path).key_backup_days == 30
