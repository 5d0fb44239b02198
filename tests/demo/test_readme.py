"""The first event of the README: posted to a new ledger, it gives what the README says."""

import json
import re
from pathlib import Path

from demo.caller import Caller
from demo.service import run, serving
from tests.house.tree import ROOT


def test_the_first_event_is_recorded_where_the_readme_says(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    posted = re.search(r"--data '(\{.*?\n\})'", readme, re.DOTALL)
    position = re.search(r"/v1/entries/(\d+)/receipt", readme)
    bound = re.search(r"token create --data demo-data (--role submitter.*?) \|", readme, re.DOTALL)
    assert posted
    assert position
    assert bound
    data = tmp_path / "ledger"
    run("hub-ledger", "init", "--data", str(data)).must(0)
    options = bound[1].replace("\\\n", " ").split()
    made = run("hub-ledger", "token", "create", "--data", str(data), *options).must(0)
    policy = tmp_path / "policy.txt"
    policy.write_text(run("hub-ledger", "policy", "--data", str(data)).must(0).out, "utf-8")
    with serving(data, tmp_path / "service.log") as url:
        hub = Caller(url, made.out.splitlines()[-1])
        reply = hub.post(json.loads(posted[1]))
        assert reply["position"] == int(position[1])
        (tmp_path / "entry.json").write_bytes(hub.get(f"/v1/entries/{position[1]}"))
        (tmp_path / "receipt.txt").write_bytes(hub.get(f"/v1/entries/{position[1]}/receipt"))
    assert b"Example Person One" not in (tmp_path / "entry.json").read_bytes()
    arguments = ("--entry", str(tmp_path / "entry.json"), "--policy", str(policy))
    run("ledger-verify", "receipt", str(tmp_path / "receipt.txt"), *arguments).must(0)
