"""A registry on loopback that serves one image: version 2 of the protocol, as far as fetching needs it."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Registry:
    """Holds what it serves; :meth:`put` gives a tag another image."""

    def __init__(self, port: int) -> None:
        self.name = f"127.0.0.1:{port}/box"
        self.blobs: dict[str, bytes] = {}
        self.tags: dict[str, bytes] = {}
        self.asked: list[str] = []

    def put(self, tag: str, tree: bytes, **config: object) -> str:
        """Serve a root tree, as a tar archive, under a tag; return the image's id."""
        layer = gzip.compress(tree, 1)
        body = {
            "architecture": "amd64", "os": "linux", "config": {"Env": [], **config},
            "rootfs": {"type": "layers", "diff_ids": [digest(tree)]},
        }  # fmt: skip
        described = json.dumps(body).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _blob("application/vnd.docker.container.image.v1+json", described),
            "layers": [_blob("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
        }
        self.blobs |= {digest(content): content for content in (layer, described)}
        self.tags[tag] = json.dumps(manifest).encode()
        return digest(described)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, type and content."""
        self.asked.append(path)
        kind, _, name = path.removeprefix("/v2/").removeprefix("box/").partition("/")
        manifests = {**self.tags, **{digest(content): content for content in self.tags.values()}}
        if path == "/v2/":
            return 200, "application/json", b"{}"
        if kind == "manifests" and name in manifests:
            return 200, MANIFEST, manifests[name]
        if kind == "blobs" and name in self.blobs:
            return 200, "application/octet-stream", self.blobs[name]
        return 404, "application/json", b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "there is none"}]}'


def _blob(kind: str, content: bytes) -> Mapping[str, object]:
    return {"mediaType": kind, "size": len(content), "digest": digest(content)}


@contextmanager
def registry() -> Iterator[Registry]:
    """Serve one, on a free port."""
    made: list[Registry] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, content = made[0].answer(self.path)
            self.send_response(status)
            for name, value in (
                ("Content-Type", kind), ("Content-Length", str(len(content))), ("Docker-Content-Digest", digest(content)),
                ("Docker-Distribution-Api-Version", "registry/2.0"),
            ):  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.append(Registry(server.server_address[1]))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made[0]
        finally:
            server.shutdown()
            thread.join()
