"""`hub-ledger backup`, `restore` and `succeed`.

Guarantees: a command that refuses says why and what to do, and changes nothing that is in place.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger import config
from ledger.cli import explained, tell_scrubbed
from ledger.database import is_postgres_url

if TYPE_CHECKING:
    from ledger.backup.archive import Manifest

_data = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The ledger's data directory.",
)
_new_file = click.Path(path_type=Path, dir_okay=False)
_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@_data
@click.option("--to", required=True, type=_new_file, help="A new file for the event store.")
@click.option("--keys-to", type=_new_file, help="A new file for the key store, kept elsewhere.")
@explained
def backup(data: Path, to: Path, keys_to: Path | None) -> None:
    """Back up the ledger while it is served: the event store, and the key store apart from it.

    Neither file holds the signing keys, the wrapping key, the guard, tokens or read models.
    """
    from ledger.backup.make import back_up

    made = back_up(data, to, keys_to)
    click.echo(f"Wrote {made.events.size} entries to {to}.")
    _say_end(to, made.events)
    if made.keys is not None and keys_to is not None:
        click.echo(f"Wrote the key store to {keys_to}. Keep it apart from {to}.")
        _say_end(keys_to, made.keys)


def _say_end(path: Path, manifest: "Manifest") -> None:
    click.echo(f"Destroy {path} by {manifest.destroy_by.isoformat()}.")


@click.command()
@_data
@click.option("--from", "archive", required=True, type=_file, help="A backup of the event store.")
@click.option("--keys-from", type=_file, help="A backup of the key store, if it is lost too.")
@click.option("--tail", type=_file, help="A log bundle with what came after the backup.")
@click.option(
    "--known",
    multiple=True,
    type=_file,
    help="A checkpoint or receipt that must be of what is restored; repeatable.",
)
@click.option("--database", help="postgresql:// URL of an empty database for the event store.")
@click.option("--key-database", help="postgresql:// URL of the key store's database.")
@click.option("--replace", is_flag=True, help="Move a ledger that is there aside.")
@explained
def restore(
    data: Path,
    archive: Path,
    keys_from: Path | None,
    tail: Path | None,
    known: tuple[Path, ...],
    database: str | None,
    key_database: str | None,
    replace: bool,
) -> None:
    """Restore a ledger from its backup, verified whole, with every later erasure carried out.

    The data directory must hold keys/ as it was: signing keys, wrapping key and guard. What ends
    before the guard's checkpoint is refused; --tail brings the entries since from a log bundle.
    """
    from ledger.backup.restore import Request, restore  # the verifier's engine is loaded only here

    done = restore(Request(data, archive, keys_from, tail, known, database, key_database, replace))
    click.echo(f"Restored {done.size} entries, {done.backup_size} of them from the backup.")
    if done.destroyed:
        click.echo(f"Keys destroyed by erasures since the backup: {done.destroyed}.")
    if done.lost:
        click.echo(
            f"Sealed fields of {done.lost} entries, under one of their two keys, were in no copy. "
            "The service declares them lost when it starts, before it answers anything."
        )
    if done.expired:
        click.echo(
            f"Entries that have expired since the backup, and are not brought back: {done.expired}."
        )
    if done.unknown:
        click.echo(
            f"Of {done.unknown} expired entries only the positions are known: where the stream is "
            "not known either, such an event is recorded as new if it is sent again."
        )
    _scrub(data, removed=bool(done.destroyed or done.expired))
    for path in done.aside:
        click.echo(f"What was in the way is now {path}: destroy it when it is not needed.")
    for manifest in done.manifests:
        if manifest.destroy_by < datetime.now(UTC).date():
            click.echo(
                f"The backup of the {manifest.kind.replace('-', ' ')} should have been destroyed "
                f"by {manifest.destroy_by.isoformat()}. Destroy it now."
            )


def _scrub(data: Path, *, removed: bool) -> None:
    """What a backup held of the erased and expired was in the tables for a moment: on PostgreSQL
    deleted rows stay in the files until they are scrubbed."""
    directory = config.load(data)
    if removed and (not directory.embedded or is_postgres_url(directory.key_database)):
        from ledger.scrubbing import scrub

        tell_scrubbed(scrub(directory, 0.0))


@click.command()
@_data
@click.option(
    "--old",
    required=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The old log's data directory: its keys, its guard and what else is left.",
)
@click.option("--origin", required=True, help="The new log's name: another than the old one's.")
@click.option("--kept", type=_file, help="A log bundle of what is left of the old log.")
@click.option(
    "--known",
    multiple=True,
    type=_file,
    help="A checkpoint or receipt of the old log, besides the guard's; repeatable.",
)
@click.option("--database", help="postgresql:// URL of an empty database for the event store.")
@click.option("--key-database", help="postgresql:// URL of the key store: another database.")
@explained
def succeed(
    data: Path,
    old: Path,
    origin: str,
    kept: Path | None,
    known: tuple[Path, ...],
    database: str | None,
    key_database: str | None,
) -> None:
    """Open a new log for one whose last entries are lost for good.

    Its first entry names the old log, the checkpoints known of it, and what is lost. Nothing will
    serve the old log any more.
    """
    from ledger.backup.succession import succeed  # the verifier's engine is loaded only here

    done = succeed(
        data,
        old,
        origin=origin,
        kept=kept,
        known=known,
        database=database,
        key_database=key_database,
    )
    click.echo(f"Created the ledger {done.origin} in {data}. Give auditors its policy.")
    click.echo(
        f"Of {done.size} entries of the old log, {done.size - done.kept} are lost, as its first "
        "entry says."
    )
    if done.kept:
        click.echo(f"What was kept is {data / 'predecessor.zip'}, to be read and never changed.")
