"""A PostgreSQL server of the tests' own: made in a temporary folder, on a Unix socket only.

The binaries are those of Debian's package `postgresql`. PostgreSQL refuses to run as root, so as
root the server runs as the user `postgres` that the package makes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_SERVER_USER = "postgres"
_ENOUGH = 1 << 30  # bytes
_NAME = "hashret"  # of the database, and of the role that owns it
# Everything as a user's server has it, but little memory and no autovacuum beside the tests.
_SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{sockets}'
shared_buffers = 16MB
max_connections = 40
autovacuum = off
wal_writer_delay = 10s
min_wal_size = 32MB
max_wal_size = 128MB
log_min_messages = fatal
recovery_init_sync_method = syncfs
"""


def missing() -> str | None:
    """Why no server can be started here, or None."""
    if _binaries() is None:
        return "PostgreSQL: expected initdb of Debian's package postgresql, found none"
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"psycopg: {error}; install hashret[postgresql]"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(_SERVER_USER)
        except KeyError:
            return f"PostgreSQL does not run as root, and there is no user {_SERVER_USER}"
    return None


def _binaries() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version there is."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Server:
    """One server with one empty database; killed and started again as a test wants."""

    def __init__(self, root: Path):
        self.root = root
        self._user = pwd.getpwnam(_SERVER_USER) if os.geteuid() == 0 else None
        self._data = root / "data"
        binaries = _binaries()
        assert binaries is not None
        self._binaries = binaries
        if self._user:
            os.chown(root, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", self._data, "-U", _NAME, "-A", "trust", "-E", "UTF8", "-N")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(sockets=root))
        self.start()
        self._run("createdb", "-h", root, "-U", _NAME, _NAME)

    @property
    def url(self) -> str:
        """The address as users write it."""
        return f"postgresql+psycopg://{_NAME}@/{_NAME}?host={self.root}"

    def start(self) -> None:
        """Start the server and wait until it answers; fine after `kill`."""
        # as a child of this process, which then can see it die
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self._data],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as_user,
        )
        deadline = time.monotonic() + 120
        while self._answer() != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("postgres: expected a server that answers, got none")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server as its owner would; fine where it does not run."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)

    def kill(self) -> None:
        """Kill every process of the server at once, without a word."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()
        while any(map(_lives, map(int, children))):
            time.sleep(0.01)

    def _answer(self) -> int:
        command = [self._binaries / "pg_isready", "-q", "-h", self.root]
        return subprocess.run(command, check=False).returncode

    @property
    def _as_user(self) -> dict[str, Any]:
        return {"user": self._user.pw_uid, "group": self._user.pw_gid} if self._user else {}

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._binaries / program, *map(str, arguments)],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self._as_user,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextmanager
def running() -> Iterator[Server]:
    """A server, stopped and deleted afterwards."""
    # in memory where there is enough of it: every commit of every test is synced to disk
    memory = Path("/dev/shm")  # noqa: S108
    enough = memory.is_dir() and shutil.disk_usage(memory).free > _ENOUGH
    # a short path: the name of a socket has at most 107 bytes
    root = Path(tempfile.mkdtemp(prefix="hashret-pg-", dir=memory if enough else None))
    try:
        server = Server(root)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)
