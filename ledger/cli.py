"""`hub-ledger`: commands for whoever runs a ledger. `serve` is added by `api.cli`.

Guarantees: a command that fails says what to do and exits non-zero; secrets are printed only where
the command exists to print them (a new token, once, alone on the last line).
"""

import contextlib
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import Progress

from ledger import config
from ledger.access import Role
from ledger.database import Database, database_errors, is_postgres_url, open_database
from ledger.errors import ConfigurationError, LedgerError
from ledger.exports.bundles import write_log_bundle
from ledger.projections.cases import CaseIndex
from ledger.store import open_store
from ledger.tokens import TokenStore
from ledger.vault.keepers import open_wrapper
from ledger.vault.rotation import Rotation

if TYPE_CHECKING:
    from ledger.scrubbing.report import Scrubbed

_data = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The ledger's data directory.",
)


def explained(command: Callable[..., Any]) -> Callable[..., Any]:
    """Show a LedgerError as a message and exit code, without a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except LedgerError as error:
            raise click.ClickException(error.detail) from None
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise click.ClickException(f"{error.strerror}{where}") from None
        except database_errors() as error:
            # Its message may say where the database is, and what is in it.
            raise click.ClickException(
                f"A database of the ledger cannot be used: {type(error).__name__}. Is its server "
                "running, and its file whole?"
            ) from None

    return wrapper


class WrongUse(click.ClickException):
    """A command that gives a verdict was asked wrongly: its exit code 1 is a verdict."""

    exit_code = 2


def exits_2(command: Callable[..., Any]) -> Callable[..., Any]:
    """Exit with 2 instead of 1 when a command cannot do its work."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except click.ClickException as error:
            raise WrongUse(error.message) from None

    return wrapper


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hub-ledger")
def cli() -> None:
    """The audit and transparency ledger of a multi-agency hub."""


@cli.command()
@_data
@click.option("--origin", default=config.DEFAULT_ORIGIN, show_default=True, help="The log's name.")
@click.option("--database", help="postgresql:// URL of the event store (default: SQLite here).")
@click.option("--key-database", help="postgresql:// URL of the key store: another database.")
@click.option("--publish-seconds", default=config.DEFAULT_PUBLISH_SECONDS, show_default=True)
@click.option(
    "--join",
    "source",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Another replica's data directory: make one more replica of its ledger.",
)
@explained
def init(
    data: Path,
    origin: str,
    database: str | None,
    key_database: str | None,
    publish_seconds: float,
    source: Path | None,
) -> None:
    """Create a ledger: log, keys and configuration, readable by their owner alone.

    With --join create no log: make the data directory of one more replica, with the keys, policy
    and databases of the one it joins, once the log has proved to be the one that vouched for.
    """
    if source is not None:
        _join(data, source)
        return
    from ledger.initialise import initialise

    directory = initialise(
        data,
        origin=origin,
        database=database,
        key_database=key_database,
        publish_seconds=publish_seconds,
    )
    click.echo(f"Created the ledger {directory.origin} in {data}.")
    click.echo(f"Back up {directory.keys_path} apart from the rest, and keep it secret.")


def _join(data: Path, source: Path) -> None:
    context = click.get_current_context()
    for name in ("origin", "database", "key_database", "publish_seconds"):
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} is the joined ledger's: leave it out with --join.")
    from ledger.initialise import join

    directory = join(data, source)
    click.echo(f"Made a replica of the ledger {directory.origin} in {data}.")
    click.echo(f"{directory.keys_path} holds the ledger's keys: keep it secret.")


@cli.command()
@_data
@explained
def policy(data: Path) -> None:
    """Print the trust policy (C2SP tlog-policy) that verifiers of this log need.

    Give it to auditors by another road than the log itself.
    """
    click.echo(config.load(data).policy().encode().decode(), nl=False)


@cli.command()
@_data
@click.option("--to", required=True, type=click.Path(path_type=Path, dir_okay=False))
@explained
def bundle(data: Path, to: Path) -> None:
    """Write the whole log, as last published, to one file that verifies offline."""
    if to.exists():
        raise click.ClickException(f"{to} exists already.")
    store = open_store(config.load(data).database)
    try:
        size = write_log_bundle(store, to)
    finally:
        store.close()
    click.echo(f"Wrote {size} entries to {to}.")


@cli.command()
@_data
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A policy file other than the data directory's own.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the report as a page, to a new file.",
)
@exits_2
@explained
def fsck(data: Path, as_json: bool, policy_file: Path | None, html: Path | None) -> None:
    """Check the whole ledger in its database, with the verifier's own engine.

    Exit codes are the verifier's: 0 verified, 1 failed, 3 unwitnessed, 4 unverifiable; 2 when it
    cannot look, for want of a configuration, policy or wrapping key.
    """
    from ledger.fsck import check, save_html, show  # the verifier's engine is loaded only here

    if html is not None and html.exists():
        raise click.ClickException(f"{html} exists already.")
    report = check(config.load(data), policy_file)
    show(report, as_json_object=as_json, write=sys.stdout.buffer.write)
    if html is not None:
        try:
            save_html(report, html)
        except OSError as error:
            raise click.ClickException(f"{html} cannot be written: {error.strerror}") from None
    sys.exit(report.verdict.exit_code)


@cli.command()
@_data
@explained
def rebuild(data: Path) -> None:
    """Fold the read models anew from the log, beside the live ones, and swap them in."""
    directory = config.load(data)
    store = open_store(directory.database)
    read_models = open_database(directory.projections_database)
    index = CaseIndex(read_models)
    try:
        index.create()
        with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as bar:
            task = bar.add_task("cases", total=None)
            size = index.rebuild(store, lambda done, of: bar.update(task, completed=done, total=of))
        index.scrub()
        click.echo(f"Rebuilt from {size} entries. SHA-256 of the states: {index.digest()}")
    finally:
        read_models.close()
        store.close()


@cli.command()
@_data
@click.option(
    "--seconds",
    default=3.0,
    show_default=True,
    type=click.FloatRange(0.0),
    help="For how long a table of PostgreSQL may be held; 0 is for as long as it takes.",
)
@explained
def scrub(data: Path, seconds: float) -> None:
    """Take what erasures and expiries deleted out of the files of the databases.

    On PostgreSQL the tables are rewritten and the write-ahead log is turned over; on SQLite it is
    checked that nothing is left. The service may go on. The exit code is 1 when something is left.
    """
    from ledger.scrubbing import scrub as scrub_databases

    sys.exit(0 if tell_scrubbed(scrub_databases(config.load(data), seconds)) else 1)


def tell_scrubbed(scrubbed: "Scrubbed") -> bool:
    """Print what was scrubbed and what was not; whether nothing is left."""
    for line in scrubbed.done:
        click.echo(f"{line}.")
    for line in scrubbed.left:
        click.echo(f"Not done: {line}.", err=True)
    for line in scrubbed.beyond:
        click.echo(f"Not reached: {line}.")
    return not scrubbed.left


@cli.command("rotate-wrapping-key")
@_data
@click.option(
    "--prepare",
    is_flag=True,
    help="Only make the new wrapping key, so that a key file can be copied to other replicas.",
)
@explained
def rotate_wrapping_key(data: Path, prepare: bool) -> None:
    """Wrap every stored key under a new wrapping key, while the ledger is served.

    The new key is a newer version of the one in use, or the one that ledger.toml names since. When
    this is interrupted, run it again: it goes on where it was. The service records it in the log.
    """
    with contextlib.closing(_open_key_store(data)) as key_database:
        rotation = Rotation(key_database, open_wrapper(config.load(data)))
        if prepare:
            key = rotation.prepare()
            click.echo(f"Version {key.version} of the wrapping key is there, and not in use yet.")
            return
        newest, goes_on = rotation.begin()
        if goes_on:
            click.echo("Going on with the rotation that was interrupted.")
        with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as bar:
            task = bar.add_task("keys", total=None)
            count = rotation.run(
                newest, lambda done, of: bar.update(task, completed=done, total=of)
            )
    click.echo(f"Wrapped {count} keys under the wrapping key {newest.ref}.")
    click.echo("The service records it in the log: within seconds, or when it is next started.")
    click.echo("Keep the old wrapping key while there are backups of the key store under it.")


def _open_key_store(data: Path) -> Database:
    location = config.load(data).key_database
    # Opening makes a database where there is none.
    if not is_postgres_url(location) and not Path(location).is_file():
        raise ConfigurationError("The key store is missing. Bring it back from its backup.")
    return open_database(location)


@cli.group()
def token() -> None:
    """Create, list and revoke API tokens."""


def _tokens(data: Path) -> TokenStore:
    return TokenStore(open_database(config.load(data).access_database))


@token.command("create")
@_data
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@click.option("--all", "everything", is_flag=True, help="Every organisation, hub and source.")
@click.option("--organisation", help="Organisation code the token is bound to.")
@click.option("--hub", "hubs", multiple=True, help="ONS borough code, or central; repeatable.")
@click.option("--source", "sources", multiple=True, help="Source system code; repeatable.")
@click.option("--machine", is_flag=True, help="No person reads through it: no Actor header.")
@click.option("--not-after", help="End of validity, YYYY-MM-DDTHH:MM:SS.mmmZ.")
@click.option("--reference", help="The inspection or case reference it is given out under.")
@explained
def create_token(
    data: Path,
    role: str,
    everything: bool,
    organisation: str | None,
    hubs: tuple[str, ...],
    sources: tuple[str, ...],
    machine: bool,
    not_after: str | None,
    reference: str | None,
) -> None:
    """Create a token and print it, alone, on the last line. It is not shown again."""
    text, credential = _tokens(data).create(
        Role(role),
        all=everything,
        organisation=organisation,
        hubs=frozenset(hubs),
        sources=frozenset(sources),
        machine=machine,
        not_after=not_after,
        reference=reference,
    )
    click.echo(f"Token {credential.public_id} for the role {role}:")
    click.echo(text)


@token.command("list")
@_data
@explained
def list_tokens(data: Path) -> None:
    """List tokens by their public id. Secrets are not kept and cannot be shown."""
    for record in _tokens(data).list():
        credential = record.credential
        bounds = (
            "all"
            if credential.all
            else (
                f"{credential.organisation} {','.join(sorted(credential.hubs))} "
                f"{','.join(sorted(credential.sources))}"
            )
        )
        if record.revoked_at is not None:
            state = f"revoked {record.revoked_at}"
        else:
            state = f"until {credential.not_after}" if credential.not_after else "in force"
        parts = [credential.public_id, credential.role.value, bounds, record.created_at, state]
        if credential.machine:
            parts.append("machine")
        if record.reference is not None:
            parts.append(record.reference)
        click.echo("  ".join(parts))


@token.command("revoke")
@_data
@click.argument("public_id")
@explained
def revoke_token(data: Path, public_id: str) -> None:
    """Revoke a token. It stops working within five seconds."""
    if not _tokens(data).revoke(public_id):
        raise click.ClickException("There is no such token, or it is revoked already.")
    click.echo("Revoked.")
