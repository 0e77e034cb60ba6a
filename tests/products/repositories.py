"""Real repositories on this machine, and a real git server over HTTP with a password."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from products.credentials import OpenedCredential

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
# What comes before the pack itself, and a word of progress beside it.
_PACKFILE = b"packfile\n"
_PROGRESS = b"0045\x02" + b"." * 64
PASSWORD = "kestrel-9-canary"


def a_login(password: str = PASSWORD, kind: str = "git") -> OpenedCredential:
    """Return an opened credential of the user ada."""
    return OpenedCredential("login", kind, "LOGIN", "ada", password)


class Repository:
    """A repository with a work tree; its branch is main."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", *(["--bare"] if bare else []))

    @property
    def url(self) -> str:
        return str(self.folder)

    def git(self, *arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
            input=given,
            env=_ENVIRONMENT,
        )
        return done.stdout.strip()

    def commit(self, text: str = "text", *, path: str = "file") -> str:
        """Commit a file; return the commit."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", text[:40] or "empty")
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str, text: str = "branch") -> str:
        """Commit on a new branch; return the commit, with main checked out again."""
        self.git("checkout", "-q", "-b", name)
        commit = self.commit(text)
        self.git("checkout", "-q", "main")
        return commit


@dataclass
class ServerState:
    """What a server does and has done: ``sent`` bytes, and whether a client waits."""

    sent: int = 0
    trickles: threading.Event = field(default_factory=threading.Event)
    waits: threading.Event = field(default_factory=threading.Event)
    honest: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    """CGI of ``git http-backend``, behind a username and password."""

    protocol_version = "HTTP/1.0"
    root: Path
    login: str | None
    redirect: str | None
    old: bool
    filters: bool
    meanwhile: Callable[[], None] | None
    asked: list[str]
    state: ServerState

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _answer(self, body: bytes) -> None:
        self.asked.append(self.path)
        if self.meanwhile is not None and len(self.asked) == 1:
            self.meanwhile()
        if self.redirect is not None:
            self.send_response(301)
            self.send_header("Location", self.redirect + self.path)
            self.end_headers()
            return
        if self.login is not None and not self._is_let_in():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        backend = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                **_ENVIRONMENT,
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": "" if self.old else self.headers.get("Git-Protocol", ""),
                "GIT_CONFIG_COUNT": "2",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "GIT_CONFIG_KEY_1": "uploadpack.allowFilter",
                "GIT_CONFIG_VALUE_1": str(self.filters).lower(),
            },
        )
        head, _, content = backend.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
        status = next((value for name, _, value in lines if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, _, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.end_headers()
        self.state.sent += len(content)
        begun, packfile, rest = content.partition(_PACKFILE)
        self.wfile.write(begun + packfile)
        if packfile and self.state.trickles.is_set():
            self._trickle()
        self.wfile.write(rest)

    def _trickle(self) -> None:
        """Send words of progress, faster than git's limit of low speed, and no end of them."""
        with suppress(OSError):
            while self.state.trickles.is_set():
                self.wfile.write(_PROGRESS)
                self.state.waits.set()
                # The pace of a slow line.
                self.state.honest.wait(0.02)

    def _is_let_in(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).decode() == self.login


class GitServer:
    """A git server on 127.0.0.1; ``asked`` are the paths of all requests."""

    def __init__(self, address: str, asked: list[str], state: ServerState) -> None:
        self.address = address
        self.asked = asked
        self.state = state

    def trickle(self) -> None:
        """From now on send each pack without end, until ``be_honest`` is called."""
        self.state.trickles.set()

    def be_honest(self) -> None:
        """Send what was asked for, also to who waits for it."""
        self.state.trickles.clear()
        self.state.honest.set()

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


@contextmanager
def a_git_server(
    root: Path,
    *,
    login: str | None = None,
    redirect: str | None = None,
    old: bool = False,
    filters: bool = True,
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[GitServer]:
    """Serve the repositories below ``root``; ``login`` is ``username:password``.

    An ``old`` server hands out nothing but the heads of branches and tags, and one without
    ``filters`` no commit without its files; ``meanwhile`` is called before the first answer.
    """
    asked: list[str] = []
    state = ServerState()
    fields = {
        "root": root,
        "login": login,
        "redirect": redirect,
        "old": old,
        "meanwhile": None if meanwhile is None else staticmethod(meanwhile),
        "filters": filters,
        "asked": asked,
        "state": state,
    }
    handler = type("Handler", (_Handler,), fields)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield GitServer(f"http://127.0.0.1:{server.server_port}", asked, state)
    finally:
        state.trickles.clear()
        state.honest.set()
        server.shutdown()
        thread.join()
        server.server_close()
