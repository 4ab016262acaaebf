"""A small Hub on this machine: what `huggingface_hub` writes and reads over HTTP, kept in memory.

It knows repositories of models, datasets and Spaces with commits, branches and tags; small files arrive inside a
commit, large ones and weights by git LFS. Writing asks for a token, as on the Hub. Clients find it by `HF_ENDPOINT` and
switch Xet off with `HF_HUB_DISABLE_XET=1`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from threading import RLock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_of_a_test"
USER = "tester"
LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".parquet", ".arrow", ".gz", ".zip")
LFS_SIZE = 10_000_000
MOMENT = "2026-01-01T00:00:00.000Z"


class HubError(Exception):
    """An answer that says what went wrong: HTTP status, the Hub's code for it, and a message."""

    def __init__(self, status: int, message: str, code: str = "", **more: Any):
        super().__init__(message)
        self.status, self.code, self.more = status, code, more


@dataclass(frozen=True)
class Blob:
    """The content of a file and whether it is kept by git LFS."""

    content: bytes
    lfs: bool = False

    @property
    def oid(self) -> str:
        """Git's name of the content, or the SHA-256 that LFS uses."""
        if self.lfs:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass(frozen=True)
class Commit:
    """A state of a repository: all its files, the commit before it, and what was said about it."""

    files: dict[str, Blob]
    title: str
    parent: str | None = None
    description: str = ""

    @property
    def sha(self) -> str:
        listed = "".join(f"{path} {blob.oid}\n" for path, blob in sorted(self.files.items()))
        return hashlib.sha1(f"{self.parent}\n{self.title}\n{self.description}\n{listed}".encode()).hexdigest()


@dataclass
class Repository:
    """A repository with its history; `branches` and `tags` name commits."""

    kind: str
    name: str
    private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, branch: str, commit: Commit) -> str:
        """Append a commit to a branch."""
        self.commits[commit.sha] = commit
        self.branches[branch] = commit.sha
        return commit.sha

    def sha(self, revision: str) -> str:
        """The commit that a branch, tag, hash or beginning of a hash names."""
        revision = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        sha = self.branches.get(revision) or self.tags.get(revision)
        if sha is None and re.fullmatch("[0-9a-f]{7,40}", revision):
            sha = next((known for known in self.commits if known.startswith(revision)), None)
        if sha is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return sha

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Content by path at a revision."""
        return {path: blob.content for path, blob in self.commits[self.sha(revision)].files.items()}

    def history(self, revision: str = "main") -> list[Commit]:
        """Commits from the newest to the oldest."""
        found, sha = [], self.sha(revision)
        while sha:
            found.append(self.commits[sha])
            sha = found[-1].parent or ""
        return found


class Hub(ThreadingHTTPServer):
    """The server with its repositories.

    `requests` lists what was asked ("GET /api/whoami-v2"). `broken` is a pattern; while it is set, the connection of
    each request that it matches breaks off without an answer. `changes` are called with (method, path) before each
    request is answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.broken: str | None = None
        self.changes: list[Callable[[str, str], None]] = []
        self.lock = RLock()

    @property
    def url(self) -> str:
        """The address for `HF_ENDPOINT`."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def environment(self, home: str | Path, token: str | None = TOKEN) -> dict[str, str]:
        """Variables by which another process uses this Hub, with a home of its own."""
        known = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        known |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
        return known | ({"HF_TOKEN": token} if token else {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"})

    def model(self, name: str) -> Repository:
        """A repository of a model that exists."""
        return self.find("model", name)

    def find(self, kind: str, name: str) -> Repository:
        """A repository that exists."""
        if (kind, name) not in self.repositories:
            raise HubError(404, "Repository not found", "RepoNotFound")
        return self.repositories[kind, name]

    def put(self, name: str, files: dict[str, bytes], kind: str = "model", title: str = "by hand") -> str:
        """Commit files without a client; the repository is made if it is not there."""
        with self.lock:
            repository = self.repositories.setdefault((kind, name), Repository(kind, name))
            parent = repository.branches.get("main")
            before = repository.commits[parent].files if parent else {}
            blobs = {path: Blob(content, path.endswith(LFS_SUFFIXES)) for path, content in files.items()}
            return repository.add("main", Commit({**before, **blobs}, title, parent))

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        """Make a repository with its first commit."""
        kind, name = order.get("type") or "model", f"{order.get('organization') or USER}/{order['name']}"
        answer = {"url": f"{self.url}/{_prefix(kind)}{name}", "name": name, "id": f"{kind}/{name}"}
        if (kind, name) in self.repositories:
            raise HubError(409, f"You already created this {kind} repo: {name}", **answer)
        private = order.get("private") or order.get("visibility") == "private"
        repository = self.repositories[kind, name] = Repository(kind, name, bool(private))
        attributes = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
        repository.add("main", Commit({".gitattributes": Blob(attributes.encode())}, "initial commit"))
        return answer

    def commit(self, repository: Repository, branch: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
        """Apply the lines of a commit to a branch."""
        parent = repository.sha(branch)
        files = dict(repository.commits[parent].files)
        header: dict[str, Any] = {}
        for line in lines:
            kind, value = line["key"], line["value"]
            if kind == "header":
                header = value
            elif kind == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]))
            elif kind == "lfsFile":
                if value["oid"] not in self.objects:
                    raise HubError(400, f"{value['path']}: the LFS object {value['oid']} was not uploaded")
                files[value["path"]] = Blob(self.objects[value["oid"]], lfs=True)
            elif kind == "deletedFile":
                files.pop(value["path"])
            elif kind == "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                files = {path: blob for path, blob in files.items() if not path.startswith(folder)}
        if (wanted := header.get("parentCommit")) and not parent.startswith(wanted):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        sha = repository.add(branch, Commit(files, header["summary"], parent, header.get("description", "")))
        url = f"{self.url}/{_prefix(repository.kind)}{repository.name}/commit/{sha}"
        return {"success": True, "commitOid": sha, "commitUrl": url}


def _prefix(kind: str) -> str:
    return "" if kind == "model" else f"{kind}s/"


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    known = {"type": "file", "path": path, "size": len(blob.content), "oid": replace(blob, lfs=False).oid}
    if blob.lfs:
        known["lfs"] = {"oid": blob.oid, "size": len(blob.content), "pointerSize": 130}
    return known


def _tree(commit: Commit, folder: str, recursive: bool) -> list[dict[str, Any]]:
    """Files and folders below a folder."""
    below = {path: blob for path, blob in commit.files.items() if not folder or path.startswith(f"{folder}/")}
    if folder and not below:
        raise HubError(404, f"{folder} does not exist", "EntryNotFound")
    depth = len(PurePosixPath(folder).parts)
    entries: dict[str, dict[str, Any]] = {}
    for path, blob in sorted(below.items()):
        parts = PurePosixPath(path).parts
        for length in range(depth + 1, len(parts) if recursive else min(depth + 2, len(parts))):
            name = "/".join(parts[:length])
            oid = hashlib.sha1(f"{commit.sha}{name}".encode()).hexdigest()
            entries[name] = {"type": "directory", "path": name, "size": 0, "oid": oid}
        if recursive or len(parts) == depth + 1:
            entries[path] = _entry(path, blob)
    return list(entries.values())


def _info(repository: Repository, revision: str) -> dict[str, Any]:
    sha = repository.sha(revision)
    known = {"id": repository.name, "author": repository.name.split("/")[0], "sha": sha, "lastModified": MOMENT}
    known |= {"createdAt": MOMENT, "private": repository.private, "gated": False, "disabled": False, "tags": []}
    known |= {"downloads": 0, "likes": 0, f"{repository.kind}Id": repository.name}
    return known | {"siblings": [{"rfilename": path} for path in sorted(repository.commits[sha].files)]}


class _Handler(BaseHTTPRequestHandler):
    """Takes a request apart, lets the first route that matches answer it, and sends the answer."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: tests read `requests`."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.body = self._read()
        asked = f"{self.command} {parts.path}"
        with self.server.lock:
            self.server.requests.append(asked)
            for change in self.server.changes:
                change(self.command, parts.path)
        if self.server.broken and re.search(self.server.broken, asked):
            self.close_connection = True
            return
        try:
            with self.server.lock:
                answer = self._route(parts.path)
        except HubError as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": str(error)} if error.code else {}
            self._send(error.status, json.dumps({"error": str(error), **error.more}).encode(), headers)
        else:
            if answer is not None:
                self._send(200, json.dumps(answer).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle

    def _read(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _route(self, path: str) -> Any:
        for pattern, answer in _ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                return answer(self, *map(unquote, (group or "" for group in found.groups())))
        raise HubError(404, f"no such route: {self.command} {path}")

    def _json(self) -> Any:
        return json.loads(self.body or b"{}")

    def _authorize(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise HubError(401, "Invalid username or password.")

    # Repositories and accounts.

    def whoami(self) -> Any:
        self._authorize()
        token = {"type": "access_token", "accessToken": {"displayName": "test", "role": "write"}}
        return {"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": token}

    def create(self) -> Any:
        self._authorize()
        return self.server.create(self._json())

    def delete(self) -> Any:
        self._authorize()
        order = self._json()
        name = f"{order.get('organization') or USER}/{order['name']}"
        self.server.repositories.pop((order.get("type") or "model", name))
        return {}

    def validate(self) -> Any:
        return {"errors": [], "warnings": []}

    # Writing.

    def preupload(self, kind: str, name: str, revision: str) -> Any:
        self._authorize()
        repository = self.server.find(kind, name)
        present = repository.commits[repository.sha(revision)].files
        files = []
        for item in self._json()["files"]:
            large = item["path"].endswith(LFS_SUFFIXES) or item["size"] > LFS_SIZE
            known = present.get(item["path"])
            mode = {"uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": known and known.oid}
            files.append({"path": item["path"], **mode})
        return {"files": files}

    def lfs_batch(self, name: str) -> Any:
        self._authorize()
        objects = []
        for item in self._json()["objects"]:
            upload = {"upload": {"href": f"{self.server.url}/lfs/{item['oid']}"}}
            objects.append({**item, **({} if item["oid"] in self.server.objects else {"actions": upload})})
        return {"transfer": "basic", "objects": objects}

    def lfs_upload(self, oid: str) -> Any:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise HubError(400, f"the content is not that of {oid}")
        self.server.objects[oid] = self.body
        return {}

    def commit(self, kind: str, name: str, branch: str) -> Any:
        self._authorize()
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        return self.server.commit(self.server.find(kind, name), branch, lines)

    def branch(self, kind: str, name: str, branch: str) -> Any:
        self._authorize()
        repository = self.server.find(kind, name)
        if branch in repository.branches:
            raise HubError(409, f"Reference already exists: {branch}")
        repository.branches[branch] = repository.sha(self._json().get("startingPoint") or "main")
        return {}

    def tag(self, kind: str, name: str, revision: str) -> Any:
        self._authorize()
        repository, tag = self.server.find(kind, name), self._json()["tag"]
        if tag in repository.tags:
            raise HubError(409, f"Tag already exists: {tag}")
        repository.tags[tag] = repository.sha(revision)
        return {}

    # Reading.

    def info(self, kind: str, name: str, revision: str) -> Any:
        return _info(self.server.find(kind, name), revision or "main")

    def refs(self, kind: str, name: str) -> Any:
        repository = self.server.find(kind, name)

        def listed(names: dict[str, str], where: str) -> list[dict[str, str]]:
            return [{"name": key, "ref": f"refs/{where}/{key}", "targetCommit": sha} for key, sha in names.items()]

        tags, branches = listed(repository.tags, "tags"), listed(repository.branches, "heads")
        return {"branches": branches, "tags": tags, "converts": [], "pullRequests": []}

    def commits(self, kind: str, name: str, revision: str) -> Any:
        history = self.server.find(kind, name).history(revision)
        author = [{"user": USER}]
        return [
            {"id": item.sha, "title": item.title, "message": item.description, "date": MOMENT, "authors": author}
            for item in history
        ]

    def tree(self, kind: str, name: str, revision: str, folder: str) -> Any:
        repository = self.server.find(kind, name)
        recursive = self.query.get("recursive", "").lower() in ("1", "true")
        return _tree(repository.commits[repository.sha(revision)], folder, recursive)

    def paths(self, kind: str, name: str, revision: str) -> Any:
        repository = self.server.find(kind, name)
        commit = repository.commits[repository.sha(revision)]
        if "json" in self.headers.get("Content-Type", ""):
            asked = self._json()["paths"]
        else:
            asked = parse_qs(self.body.decode()).get("paths", [])
        everything = {item["path"]: item for item in _tree(commit, "", recursive=True)}
        return [everything[path] for path in asked if path in everything]

    def resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        repository = self.server.find({"datasets/": "dataset", "spaces/": "space"}.get(kind, "model"), name)
        sha = repository.sha(revision)
        blob = repository.commits[sha].files.get(path)
        if blob is None:
            raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound")
        headers = {"X-Repo-Commit": sha, "ETag": f'"{blob.oid}"', "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        if blob.lfs:
            headers |= {"X-Linked-Etag": f'"{blob.oid}"', "X-Linked-Size": str(len(blob.content))}
        content, status = blob.content, 200
        if part := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        self._send(status, content, headers)


_REPOSITORY = r"/api/(model|dataset|space)s/([^/]+/[^/]+)"
_ROUTES: list[tuple[str, Callable[..., Any]]] = [
    (r"GET /api/whoami-v2", _Handler.whoami),
    (r"POST /api/repos/create", _Handler.create),
    (r"DELETE /api/repos/delete", _Handler.delete),
    (r"POST /api/validate-yaml", _Handler.validate),
    (rf"POST {_REPOSITORY}/preupload/([^/]+)", _Handler.preupload),
    (r"POST /(?:datasets/|spaces/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (r"PUT /lfs/([0-9a-f]{64})", _Handler.lfs_upload),
    (rf"POST {_REPOSITORY}/commit/([^/]+)", _Handler.commit),
    (rf"POST {_REPOSITORY}/branch/([^/]+)", _Handler.branch),
    (rf"POST {_REPOSITORY}/tag/([^/]+)", _Handler.tag),
    (rf"GET {_REPOSITORY}(?:/revision/([^/]+))?", _Handler.info),
    (rf"GET {_REPOSITORY}/refs", _Handler.refs),
    (rf"GET {_REPOSITORY}/commits/([^/]+)", _Handler.commits),
    (rf"GET {_REPOSITORY}/tree/([^/]+)(?:/(.+))?", _Handler.tree),
    (rf"POST {_REPOSITORY}/paths-info/([^/]+)", _Handler.paths),
    (r"(?:GET|HEAD) /(datasets/|spaces/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _Handler.resolve),
]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A Hub that answers until the block ends."""
    hub = Hub()
    Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
