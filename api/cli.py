"""`hub-ledger`: the ledger's own commands, and `serve`, which needs the HTTP layer.

Guarantees: a command loads what it needs and no more, so that making a token does not wait for
what serves requests. What `serve` keeps to is in `api.serving`.
"""

import sys
from pathlib import Path

import click

from ledger.backup.commands import backup, restore, succeed
from ledger.cli import cli, explained

cli.add_command(backup)
cli.add_command(restore)
cli.add_command(succeed)


@cli.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The ledger's data directory.",
)
@click.option("--port", required=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--accept-clock",
    is_flag=True,
    help="Start although the clock is a day past the last entry, or a minute before it.",
)
@explained
def serve(data: Path, port: int, host: str, accept_clock: bool) -> None:
    """Serve the ledger over HTTP. Put a proxy with TLS before it."""
    from api.serving import run

    try:
        code = run(data, host, port, accept_clock=accept_clock)
    except OSError as error:
        raise click.ClickException(f"cannot serve on port {port}: {error.strerror}") from None
    sys.exit(code)


def main() -> None:
    """The console script `hub-ledger`."""
    cli()
