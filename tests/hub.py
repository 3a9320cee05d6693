"""A small Hugging Face hub on loopback: what huggingface_hub and datasets ask of it, with the ways in which a real one says no.

with Hub() as hub:
    repo = hub.add("acme/tiny", {"config.json": b"{}"})
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

#: Larger files are "LFS files": their etag is the sha256 of the content, as on the hub.
LFS_BYTES = 4096
TOKEN = "hf_right"  # Not a secret: what this server takes for a valid token.

_API = re.compile(r"^/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info|refs)(?:/(.*))?)?$")
_RESOLVE = re.compile(r"^(/datasets)?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")


@dataclass
class Repo:
    """One repository. `files` may be changed at any time; a change is a new commit.

    Attributes:
        private: asks for TOKEN, and says 404 without it.
        gated: answers 403 GatedRepo for every file.
        break_once: name of a file whose first GET is cut after half of its bytes; `how`: closed in order or reset.
    """

    id: str
    kind: Literal["model", "dataset"]
    files: dict[str, bytes]
    branches: tuple[str, ...] = ("main",)
    private: bool = False
    gated: bool = False
    break_once: str | None = None
    how: Literal["close", "reset"] = "close"

    @property
    def commit(self) -> str:
        """The commit hash of all branches: a digest of the content."""
        digest = hashlib.sha1(usedforsecurity=False)
        for name, data in sorted(self.files.items()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
        return digest.hexdigest()


def folder_files(folder: Path) -> dict[str, bytes]:
    """All files under `folder`, as Repo.files."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@dataclass
class Hub:
    """The server. `requests` has "METHOD path" of each request, `bytes_sent` counts file content only."""

    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    refuse_token: bool = False
    down: bool = False
    gone: bool = False

    def add(self, name: str, files: Mapping[str, bytes], kind: Literal["model", "dataset"] = "model", **settings: Any) -> Repo:
        """Create or replace a repository."""
        self.repos[kind, name] = repo = Repo(name, kind, dict(files), **settings)
        return repo

    def __enter__(self) -> Self:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening: the hub cannot be reached from now on, not even through a connection that is kept alive."""
        self.gone = True
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_POST(self) -> None:
        self._answer(body=True, form=self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bool, form: bytes = b"") -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.hub.requests.append(f"{self.command} {path}")
        authorization = self.headers.get("Authorization")
        if self.hub.gone:
            return self._cut("close")
        if self.hub.down:
            return self._error(503, "")
        if self.hub.refuse_token and authorization:
            return self._error(401, "", "Invalid credentials in Authorization header")
        if path in ("/api/models", "/api/datasets"):
            owner = parse_qs(url.query).get("author", [""])[0]
            kind = "model" if path == "/api/models" else "dataset"
            names = [r.id for (k, _), r in self.hub.repos.items() if k == kind and r.id.startswith(owner + "/")]
            return self._json([{"id": n, "_id": n, "modelId": n, "tags": [], "private": False} for n in names])
        api, file = _API.match(path), _RESOLVE.match(path)
        if api:
            kind, name = api[1][:-1], api[2]
        elif file:
            kind, name = "dataset" if file[1] else "model", file[2]
        else:
            return self._error(404, "RepoNotFound")
        repo = self.hub.repos.get((kind, name))
        if repo is None or (repo.private and authorization != f"Bearer {TOKEN}"):
            return self._error(404 if authorization else 401, "RepoNotFound")
        if api:
            return self._api(repo, api[3], api[4] or "", form, url.query)
        assert file is not None
        return self._file(repo, file[3], file[4], body)

    def _api(self, repo: Repo, what: str | None, rest: str, form: bytes, query: str) -> None:
        if what == "refs":
            heads = [{"name": b, "ref": f"refs/heads/{b}", "targetCommit": repo.commit} for b in repo.branches]
            return self._json({"branches": heads, "converts": [], "tags": []})
        revision, _, inside = rest.partition("/")
        if what is not None and revision not in (*repo.branches, repo.commit):
            return self._error(404, "RevisionNotFound")
        if what == "tree":
            recursive = parse_qs(query).get("recursive", ["false"])[0].lower() in ("true", "1")
            return self._json(_tree(repo, inside, recursive))
        if what == "paths-info":
            wanted = parse_qs(form.decode()).get("paths", []) if not form.startswith(b"{") else json.loads(form)["paths"]
            entries = [e for e in _tree(repo, "", True, folders=True) if e["path"] in wanted]
            return self._json(entries)
        siblings = [{"rfilename": n, "size": len(d)} for n, d in sorted(repo.files.items())]
        info = {"id": repo.id, "sha": repo.commit, "private": repo.private, "gated": "manual" if repo.gated else False}
        return self._json({**info, "_id": repo.id, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings})

    def _file(self, repo: Repo, revision: str, name: str, body: bool) -> None:
        data = repo.files.get(name)
        if repo.gated:
            self._error(403, "GatedRepo")
        elif revision not in (*repo.branches, repo.commit):
            self._error(404, "RevisionNotFound")
        elif data is None:
            self._error(404, "EntryNotFound", commit=repo.commit)
        else:
            self._content(repo, name, data, body)

    def _content(self, repo: Repo, name: str, data: bytes, body: bool) -> None:
        start, span = 0, self.headers.get("Range")
        if span and body:
            self.hub.ranges.append(span)
            first, _, last = span.removeprefix("bytes=").partition("-")
            start = int(first)
            data_sent = data[start : int(last) + 1] if last else data[start:]
        else:
            data_sent = data
        self.send_response(206 if span and body else 200)
        self.send_header("X-Repo-Commit", repo.commit)
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data_sent)))
        if span and body:
            self.send_header("Content-Range", f"bytes {start}-{start + len(data_sent) - 1}/{len(data)}")
        self.end_headers()
        if not body:
            return
        if repo.break_once == name:
            repo.break_once = None
            self._send(data_sent[: len(data_sent) // 2])
            self._cut(repo.how)
        else:
            self._send(data_sent)

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.hub.bytes_sent += len(data)

    def _cut(self, how: str) -> None:
        self.close_connection = True
        if how == "reset":
            threading.Event().wait(0.3)  # A reset discards what the client has not read yet.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with Path(os.devnull).open("rb") as nothing:
                os.dup2(nothing.fileno(), self.connection.fileno())  # Closes it now, without the orderly end that close() makes.

    def _json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _error(self, status: int, code: str, message: str = "", commit: str = "") -> None:
        self.send_response(status)
        for name, value in (("X-Error-Code", code), ("X-Error-Message", message), ("X-Repo-Commit", commit)):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _etag(data: bytes) -> str:
    if len(data) > LFS_BYTES:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _tree(repo: Repo, inside: str, recursive: bool, folders: bool = False) -> list[dict[str, Any]]:
    """Entries under `inside`, as /tree answers."""
    entries: dict[str, dict[str, Any]] = {}
    prefix = f"{inside}/" if inside else ""
    for name, data in sorted(repo.files.items()):
        if not name.startswith(prefix):
            continue
        parts = name[len(prefix) :].split("/")
        for depth in range(1, len(parts)):
            folder = prefix + "/".join(parts[:depth])
            entries.setdefault(folder, {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0})
        entry: dict[str, Any] = {"type": "file", "path": name, "oid": _etag(data)[:40], "size": len(data)}
        if len(data) > LFS_BYTES:
            entry["lfs"] = {"oid": _etag(data), "size": len(data), "pointerSize": 134}
        entries[name] = entry
    if not recursive:
        entries = {p: e for p, e in entries.items() if "/" not in p[len(prefix) :]}
    return list(entries.values())
