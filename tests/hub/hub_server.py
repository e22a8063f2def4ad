"""A Hub in one thread: the endpoints that the real ``huggingface_hub`` client calls to create, upload, commit and read.

    with HubServer() as hub:
        hub.add_user("hf_token...", "me", orgs={"team": "write"})
        hub.fail_at("commit", 1)              # the first commit from now on answers 500
        ... run the client with HF_ENDPOINT=hub.url, HF_HUB_DISABLE_XET=1, HF_HUB_OFFLINE=0 ...
        hub.files("dataset", "me/kept")       # path -> bytes at the head of main

Every request is recorded under a kind (``KINDS``) with its body. Wrong tokens, missing rights, private repos, wrong
parents of a commit and missing files answer with the codes and headers that the Hub uses.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.hub_endpoint import Endpoints, RefusalError

_REPO = r"/(?:(?P<kind>datasets|spaces)/)?(?P<name>[\w.-]+/[\w.-]+)"
_API = r"/api/(?P<kind>models|datasets|spaces)/(?P<name>[\w.-]+/[\w.-]+)"
_ROUTES = (
    ("whoami", "GET", r"/api/whoami-v2"),
    ("create", "POST", r"/api/repos/create"),
    ("validate-yaml", "POST", r"/api/validate-yaml"),
    ("auth-check", "GET", _API + r"/auth-check(?P<write>/write)?"),
    ("preupload", "POST", _API + r"/preupload/(?P<revision>[^/]+)"),
    ("commit", "POST", _API + r"/commit/(?P<revision>[^/]+)"),
    ("tree", "GET", _API + r"/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?"),
    ("paths-info", "POST", _API + r"/paths-info/(?P<revision>[^/]+)"),
    ("info", "GET", _API + r"(?:/revision/(?P<revision>[^/]+))?"),
    ("lfs-batch", "POST", _REPO + r"\.git/info/lfs/objects/batch"),
    ("lfs-put", "PUT", r"/lfs/(?P<oid>[0-9a-f]{64})"),
    ("lfs-verify", "POST", r"/lfs/(?P<oid>[0-9a-f]{64})/verify"),
    ("resolve", "HEAD", _REPO + r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)"),
    ("resolve", "GET", _REPO + r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)"),
)
KINDS = tuple(dict.fromkeys(kind for kind, _, _ in _ROUTES))


class Request(NamedTuple):
    """One request as it came."""

    kind: str
    method: str
    path: str
    body: bytes


@dataclass
class _Fault:
    kind: str
    left: int
    status: int
    afterwards: bool


class _Server(ThreadingHTTPServer):
    """Says nothing of a client that was killed."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell all other errors."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class HubServer(Endpoints):
    """The server; a context manager that runs it in a thread."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.before: dict[str, Callable[[], None]] = {}
        self._faults: list[_Fault] = []
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        super().__init__(f"http://127.0.0.1:{self._server.server_address[1]}")

    def __enter__(self) -> HubServer:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add_user(self, token: str, name: str, *, role: str = "write", orgs: dict[str, str] | None = None) -> None:
        """Let a token in: ``role`` is the token's, ``orgs`` the user's role in each organisation."""
        self.users[token] = {"name": name, "role": role, "orgs": orgs or {}}

    def fail_at(self, kind: str, n: int, *, status: int = 500, afterwards: bool = False) -> None:
        """Let the ``n``-th request of a kind from now on fail.

        Args:
            kind: one of ``KINDS``, or ``"*"`` for the ``n``-th request of any kind.
            n: 1 for the next one.
            status: what it answers; 0 cuts the connection.
            afterwards: do what was asked, and fail only then (a lost answer).
        """
        if kind not in (*KINDS, "*"):
            raise ValueError(f"kind={kind!r} is none of {KINDS}")
        self._faults.append(_Fault(kind, n, status, afterwards))

    def heal(self) -> None:
        """Forget faults that did not happen."""
        self._faults.clear()

    def state(self) -> Any:
        """Everything that lies on the server, for ``restore``."""
        return copy.deepcopy((self.repos, self.lfs))

    def restore(self, state: Any) -> None:
        """Put everything back as it was."""
        self.repos, self.lfs = copy.deepcopy(state)

    def files(self, kind: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a repository, by path; the ``.gitattributes`` of the server itself left out."""
        tree = self.repos[kind, repo_id].tree(revision)[1]
        return {path: data for path, data in tree.items() if path != ".gitattributes"}

    def count(self, kind: str) -> int:
        """How many requests of a kind came."""
        return sum(request.kind == kind for request in self.requests)

    def sent(self) -> bytes:
        """Everything that was sent in bodies, commits decoded."""
        decoded = [
            base64.b64decode(json.loads(line)["value"].get("content", ""))
            for request in self.requests
            if request.kind == "commit"
            for line in request.body.splitlines()
        ]
        return b"\n".join([*(request.body for request in self.requests), *decoded])

    def _fault_of(self, kind: str) -> _Fault | None:
        with self._lock:
            found = None
            for fault in list(self._faults):
                if fault.kind in (kind, "*"):
                    fault.left -= 1
                    if fault.left == 0:
                        self._faults.remove(fault)
                        found = fault
            return found


class _Handler(BaseHTTPRequestHandler):
    """One request: find its kind, fail where told to, else answer."""

    hub: HubServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body, place = self._body(), urlsplit(self.path)
        matches = ((kind, re.fullmatch(form, place.path)) for kind, method, form in _ROUTES if method == self.command)
        kind, found = next((one for one in matches if one[1]), ("", None))
        if found is None:
            return self._answer({"error": f"no route for {self.command} {self.path}"}, 404)
        self.hub.requests.append(Request(kind, self.command, self.path, body))
        if kind in self.hub.before:
            self.hub.before.pop(kind)()
        fault = self.hub._fault_of(kind)
        if fault is not None and not fault.afterwards:
            return self._fail(fault.status)
        answer = getattr(self.hub, kind.replace("-", "_"))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        try:
            names = {name: unquote(value) for name, value in found.groupdict().items() if value is not None}
            with self.hub._lock:
                reply = answer(body, token, query=parse_qs(place.query), **names)
        except RefusalError as refusal:
            headers = {"X-Error-Code": refusal.code} if refusal.code else {}
            return self._answer(
                {"error": refusal.message}, refusal.status, {**headers, "X-Error-Message": refusal.message}
            )
        if fault is not None:
            return self._fail(fault.status)
        return self._answer(*reply) if isinstance(reply, tuple) else self._answer(reply)

    do_GET = do_POST = do_PUT = do_HEAD = _serve  # noqa: N815 (the names that http.server calls)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _fail(self, status: int) -> None:
        if status:
            return self._answer({"error": "the server stumbled"}, status)
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # reset, not a polite end
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        return None
