"""A server that speaks as much of the Hugging Face Hub's protocol as huggingface_hub asks for, in memory.

Repositories are made, committed to (small files in the commit, others by git-lfs's basic transfer), listed and
resolved, models and data sets alike. A repository that is private, or none, is 401 without its owner's token, as
on the Hub.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.pages import free_port

TOKEN = "hf_" + "s3cret" * 6


@dataclass
class Repository:
    """Its commits, oldest first: each a hash and the files of its tree.

    Attributes:
        private: whether it is there for its owner alone.
        commits: of the main branch.
    """

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=lambda: [("0" * 40, {})])

    def commit(self, files: dict[str, bytes]) -> str:
        content = repr(sorted((name, hashlib.sha256(one).hexdigest()) for name, one in files.items()))
        sha = hashlib.sha1(f"{len(self.commits)}{content}".encode()).hexdigest()
        self.commits.append((sha, files))
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        return next((one for one in self.commits if one[0] == revision), None)


@dataclass
class Hub:
    """What the server holds.

    Attributes:
        url: of the server.
        repositories: by kind ("models", "datasets") and name.
        lfs: uploaded objects by sha256.
        asked: method and path of every request.
    """

    url: str = ""
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def found(self, kind: str, name: str, request: Request) -> Repository | Response:
        repository = self.repositories.get((kind, name))
        if repository is None or (repository.private and not owner(request)):
            return Response(status_code=401, headers={"X-Error-Code": "RepoNotFound"})
        return repository


def owner(request: Request) -> bool:
    return request.headers.get("authorization") == f"Bearer {TOKEN}"


def application(hub: Hub) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def ask(request: Request, call_next: Any) -> Any:
        hub.asked.append(f"{request.method} {request.url.path}")
        return await call_next(request)

    for router in (_creating(hub), _uploading(hub), _committing(hub), _listing(hub), _resolving(hub)):
        app.include_router(router)
    return app


def _creating(hub: Hub) -> APIRouter:
    """Making a repository."""
    router = APIRouter()

    @router.post("/api/validate-yaml")
    async def validate() -> Any:
        return {"errors": [], "warnings": []}

    @router.post("/api/repos/create")
    async def create(request: Request) -> Any:
        if not owner(request):
            return Response(status_code=401)
        asked = await request.json()
        name = f"{asked['organization']}/{asked['name']}"
        if ("models", name) in hub.repositories:
            return JSONResponse({"error": "exists", "url": f"{hub.url}/{name}"}, 409)
        hub.repositories["models", name] = Repository(asked.get("private") or asked.get("visibility") == "private")
        return {"url": f"{hub.url}/{name}", "name": name}

    return router


def _uploading(hub: Hub) -> APIRouter:
    """Large files, by git-lfs."""
    router = APIRouter()

    @router.post("/{user}/{name}.git/info/lfs/objects/batch")
    async def batch(user: str, name: str, request: Request) -> Any:
        asked = await request.json()
        made = [
            {**one, "actions": {"upload": {"href": f"{hub.url}/lfs/{one['oid']}"}}}
            if one["oid"] not in hub.lfs
            else one
            for one in asked["objects"]
        ]
        return JSONResponse({"transfer": "basic", "objects": made}, media_type="application/vnd.git-lfs+json")

    @router.put("/lfs/{oid}")
    async def upload(oid: str, request: Request) -> Any:
        body = await request.body()
        if hashlib.sha256(body).hexdigest() != oid:
            return Response(status_code=400)
        hub.lfs[oid] = body
        return Response()

    return router


def _committing(hub: Hub) -> APIRouter:
    """A commit: which of its files are uploaded apart, then all of it."""
    router = APIRouter()

    @router.post("/api/{kind}/{user}/{name}/preupload/{revision}")
    async def preupload(request: Request) -> Any:
        asked = await request.json()
        modes = [
            {"path": one["path"], "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular"}
            for one in asked["files"]
        ]
        return {"files": [{**one, "shouldIgnore": False} for one in modes]}

    @router.post("/api/{kind}/{user}/{name}/commit/{revision}")
    async def commit(kind: str, user: str, name: str, request: Request) -> Any:
        repository = hub.repositories[kind, f"{user}/{name}"]
        files = dict(repository.commits[-1][1])
        for line in (await request.body()).decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                assert value["encoding"] == "base64"
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = hub.lfs[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
            else:
                assert entry["key"] == "header"
        sha = repository.commit(files)
        return {"commitUrl": f"{hub.url}/{user}/{name}/commit/{sha}", "commitOid": sha, "pullRequestUrl": None}

    return router


def _listing(hub: Hub) -> APIRouter:
    """What a repository has."""
    router = APIRouter()

    @router.get("/api/{kind}/{user}/{name}")
    @router.get("/api/{kind}/{user}/{name}/revision/{revision}")
    async def info(kind: str, user: str, name: str, request: Request, revision: str = "main") -> Any:
        repository = hub.found(kind, f"{user}/{name}", request)
        if isinstance(repository, Response):
            return repository
        at = repository.at(revision)
        if at is None:
            return Response(status_code=404, headers={"X-Error-Code": "RevisionNotFound"})
        names = [{"rfilename": path} for path in at[1]]
        return {"id": f"{user}/{name}", "sha": at[0], "siblings": names, "private": repository.private, "tags": []}

    @router.get("/api/{kind}/{user}/{name}/tree/{revision}")
    async def tree(kind: str, user: str, name: str, revision: str, request: Request) -> Any:
        repository = hub.found(kind, f"{user}/{name}", request)
        if isinstance(repository, Response):
            return repository
        at = repository.at(revision)
        assert at is not None
        return [
            {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for path, content in at[1].items()
        ]

    return router


def _resolving(hub: Hub) -> APIRouter:
    """A file of a revision."""
    router = APIRouter()

    @router.api_route("/{user}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    @router.api_route("/{kind}/{user}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    async def resolve(
        user: str, name: str, revision: str, path: str, request: Request, kind: str = "models"
    ) -> Response:
        repository = hub.found(kind, f"{user}/{name}", request)
        if isinstance(repository, Response):
            return repository
        at = repository.at(revision)
        if at is None or path not in at[1]:
            return Response(status_code=404, headers={"X-Error-Code": "EntryNotFound"})
        content = at[1][path]
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": at[0]}
        if request.method == "HEAD":
            return Response(headers={**headers, "Content-Length": str(len(content))})
        return Response(content, headers=headers)

    return router


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """A server of its own, in a thread."""
    port = free_port()
    hub = Hub(f"http://127.0.0.1:{port}")
    server = uvicorn.Server(uvicorn.Config(application(hub), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield hub
    finally:
        server.should_exit = True
        thread.join()
