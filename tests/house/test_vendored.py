"""Files of other projects are the very ones that came, and their licences came with them."""

import hashlib
import tomllib

from api.routes.docs import ASSETS
from tests.house.tree import VENDORED


def test_each_file_is_the_one_that_came() -> None:
    listed = tomllib.loads((VENDORED / "VENDORED.toml").read_text("utf-8"))
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDORED.iterdir()
        if path.name != "VENDORED.toml"
    }
    assert found == listed["files"]
    assert (listed["name"], listed["licence"]) == ("swagger-ui-dist", "Apache-2.0")
    assert listed["version"]
    assert len(listed["archive_sha256"]) == 64


def test_its_licences_are_there() -> None:
    assert "Apache License" in (VENDORED / "LICENSE").read_text("utf-8")
    assert "SmartBear" in (VENDORED / "NOTICE").read_text("utf-8")
    assert "@license" in (VENDORED / "swagger-ui-bundle.js.LICENSE.txt").read_text("utf-8")


def test_what_is_served_is_there() -> None:
    for name, (folder, _) in ASSETS.items():
        assert (VENDORED.parent / folder / name).stat().st_size > 0
