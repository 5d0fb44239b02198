"""A server that speaks the part of Vault's transit HTTP API that the ledger uses.

Vault's own server is in no package registry, so this stands in for it, on loopback, written from
the API's documentation: keys with versions, `min_decryption_version`, encryption and decryption one
at a time or in batches, the ciphertext's form (`vault:v1:` and base64), and what is answered when
something is wrong: the status, `errors` for a request, `error` for an item of a batch. Its token's
policy lets it update a key, never create one by encrypting.
"""

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refusal(Exception):
    """What the server answers instead: a status and its errors."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status, self.errors = status, errors


class ItemError(Exception):
    """Why one item of a batch is refused."""


@dataclass
class TransitKey:
    """A key of the engine: its versions' material, from version 1."""

    type: str = "aes256-gcm96"
    derived: bool = False
    versions: list[bytes] = field(default_factory=lambda: [os.urandom(32)])
    min_decryption_version: int = 1
    min_encryption_version: int = 0

    def encrypt(self, item: dict[str, Any]) -> dict[str, Any]:
        version = int(item.get("key_version") or len(self.versions))
        if version > len(self.versions):
            raise ItemError(
                "requested version for encryption is higher than the latest key version"
            )
        if version < max(self.min_encryption_version, 1):
            raise ItemError(
                "requested version for encryption is less than the minimum encryption key version"
            )
        try:
            plain = base64.b64decode(item["plaintext"], validate=True)
        except ValueError:
            raise ItemError("failed to base64-decode plaintext") from None
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(self.versions[version - 1]).encrypt(nonce, plain, None)
        text = base64.b64encode(sealed).decode()
        return {"ciphertext": f"vault:v{version}:{text}", "key_version": version}

    def decrypt(self, item: dict[str, Any]) -> dict[str, Any]:
        text = item["ciphertext"]
        if not text.startswith("vault:v"):
            raise ItemError("invalid ciphertext: no prefix")
        number, colon, encoded = text.removeprefix("vault:v").partition(":")
        if not colon or not number.isdecimal():
            raise ItemError("invalid ciphertext: wrong number of fields")
        version = int(number)
        if version > len(self.versions):
            raise ItemError("invalid ciphertext: version is too new")
        if version < self.min_decryption_version:
            raise ItemError("ciphertext or signature version is disallowed by policy (too old)")
        try:
            sealed = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise ItemError("invalid ciphertext: could not decode base64") from None
        if len(sealed) < 28:
            raise ItemError("invalid ciphertext length")
        try:
            plain = AESGCM(self.versions[version - 1]).decrypt(sealed[:12], sealed[12:], None)
        except InvalidTag:
            raise ItemError("cipher: message authentication failed") from None
        return {"plaintext": base64.b64encode(plain).decode()}


class TransitServer(ThreadingHTTPServer):
    """One engine, mounted at `transit`. `calls` lists the paths asked for."""

    daemon_threads = True

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.keys: dict[str, TransitKey] = {}
        self.sealed = False
        self.calls: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> Any:
        """The reply to a request; raises Refusal."""
        self.calls.append(f"{method} {path}")
        if self.sealed:
            raise Refusal(503, "Vault is sealed")
        if token != self.token:
            raise Refusal(403, "permission denied")
        match path.strip("/").split("/"):
            case ["v1", "transit", "keys", name] if method == "GET":
                return self._read(name)
            case ["v1", "transit", "keys", name, "rotate"] if method == "POST":
                self._key(name).versions.append(os.urandom(32))
                return self._read(name)
            case ["v1", "transit", "encrypt" | "decrypt" as verb, name] if method == "POST":
                return self._work(self._key(name), verb, body)
        raise Refusal(404)

    def _key(self, name: str) -> TransitKey:
        if name not in self.keys:
            raise Refusal(400, "encryption key not found")
        return self.keys[name]

    def _read(self, name: str) -> dict[str, Any]:
        if name not in self.keys:
            raise Refusal(404)
        key = self.keys[name]
        return {
            "data": {
                "name": name,
                "type": key.type,
                "derived": key.derived,
                "deletion_allowed": False,
                "exportable": False,
                "keys": {str(number + 1): 1_767_225_600 for number in range(len(key.versions))},
                "latest_version": len(key.versions),
                "min_decryption_version": key.min_decryption_version,
                "min_encryption_version": key.min_encryption_version,
            }
        }

    def _work(self, key: TransitKey, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        one = key.encrypt if verb == "encrypt" else key.decrypt
        shared = {name: body[name] for name in ("key_version",) if name in body}
        if "batch_input" not in body:
            try:
                return {"data": one(body)}
            except ItemError as error:
                raise Refusal(400, str(error)) from None
        results: list[dict[str, Any]] = []
        for item in body["batch_input"]:
            try:
                results.append({**one({**shared, **item}), "reference": ""})
            except ItemError as error:
                results.append({"error": str(error), "reference": ""})
        reply: dict[str, Any] = {"data": {"batch_results": results}}
        if any("error" in result for result in results):
            # The results are there all the same: Vault answers so, with the status of a refusal.
            reply["status"] = {"code": 400}
        return reply


class _Handler(BaseHTTPRequestHandler):
    server: TransitServer

    def do_GET(self) -> None:
        self._reply("GET")

    def do_POST(self) -> None:
        self._reply("POST")

    def _reply(self, method: str) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            reply = self.server.answer(
                method,
                self.path,
                self.headers.get("X-Vault-Token", ""),
                json.loads(raw) if raw else {},
            )
            status = reply.pop("status", {"code": 200})["code"]
        except Refusal as refusal:
            reply, status = {"errors": list(refusal.errors)}, refusal.status
        encoded = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: what it serves is nobody's."""


@contextmanager
def serving(token: str) -> Iterator[TransitServer]:
    """A running server with no keys yet."""
    server = TransitServer(token)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
