"""The operator's commands: what they print, and how they refuse."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger.cli import cli
from ledger_verifier.formats.policy import Policy


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("cli") / "data")
    done = run("init", "--data", path, "--origin", "ledger.example.org/hub")
    assert done.exit_code == 0, done.output
    return path


def test_the_policy_names_both_keys_of_the_log(data: str) -> None:
    policy = Policy.parse(run("policy", "--data", data).output.encode())
    assert [log.key.name for log in policy.logs] == ["ledger.example.org/hub"] * 2
    assert policy.quorum is None


def test_a_token_is_printed_alone_on_the_last_line_and_never_again(data: str) -> None:
    bound = ("--organisation", "lewisham-council", "--hub", "E09000023", "--source", "cases")
    done = run("token", "create", "--data", data, "--role", "submitter", *bound)
    text = done.output.splitlines()[-1]
    assert text.startswith("hl_")
    assert len(text) == 46
    listed = run("token", "list", "--data", data).output
    assert text not in listed
    assert "submitter  lewisham-council E09000023 cases" in listed
    public_id = listed.split()[0]
    assert run("token", "revoke", "--data", data, public_id).exit_code == 0
    assert "revoked" in run("token", "list", "--data", data).output
    assert run("token", "revoke", "--data", data, public_id).exit_code == 1
    for path in Path(data).rglob("*"):
        if path.is_file():
            assert text.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "create", "--role", "submitter"),
        ("token", "create", "--role", "submitter", "--all", "--hub", "E09000023"),
        ("token", "create", "--role", "submitter", "--organisation", "x-y", "--hub", "Lewisham"),
        ("init",),
        ("init", "--origin", "Not an origin"),
        ("init", "--database", "mysql://x"),
    ],
)
def test_wrong_use_is_explained(data: str, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--data", data)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", [("policy",), ("fsck",), ("bundle", "--to", "x")])
def test_without_a_ledger_it_says_how_to_make_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(*command, "--data", str(tmp_path / "none"))
    # 1 is a verdict of fsck's.
    assert done.exit_code == (2 if command == ("fsck",) else 1)
    assert "hub-ledger init" in done.output


def test_a_log_bundle_is_written_once_and_the_same_each_time(data: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    assert run("bundle", "--data", data, "--to", str(one)).exit_code == 0
    assert run("bundle", "--data", data, "--to", str(two)).exit_code == 0
    assert one.read_bytes() == two.read_bytes()
    assert run("bundle", "--data", data, "--to", str(one)).exit_code == 1


def test_fsck_writes_a_page_once(data: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert run("fsck", "--data", data, "--html", str(page)).exit_code == 0
    raw = page.read_bytes()
    assert b"the ledger in its own database" in raw
    again = run("fsck", "--data", data, "--html", str(page))
    assert (again.exit_code, "exists already" in again.output) == (2, True)
    assert page.read_bytes() == raw
    nowhere = run("fsck", "--data", data, "--html", str(tmp_path / "none" / "report.html"))
    assert (nowhere.exit_code, "cannot be written" in nowhere.output) == (2, True)


def test_fsck_of_a_new_ledger(data: str) -> None:
    done = run("fsck", "--data", data)
    assert done.exit_code == 0
    assert done.output.startswith("VERIFIED")
