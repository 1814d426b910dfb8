"""How long does the server live? From its socket until a signal, with uvicorn."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from hashret.server.guard import Guard

#: Connections at a time; further ones get a 503.
_CONNECTIONS = 1_000
#: Seconds that requests have to end after a signal to stop.
_GRACE_SECONDS = 10


def serve(app: Guard, host: str, port: int, say: Callable[[str], None]) -> None:
    """Answer on this address until SIGTERM or SIGINT; requests that run are answered before.

    `say` is told the address once connections are accepted; port 0 takes a free one. Raises
    OSError where the address can't be had.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.create_server(address[:2], family=family, backlog=2048) as listening:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # who asks is not what a stranger says
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        shown = f"[{host}]" if family is socket.AF_INET6 and ":" in host else host
        say(f"http://{shown}:{listening.getsockname()[1]}/")
        with _signals_end_quietly():
            uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """Exit with status 0 after a signal to stop: uvicorn raises it again when all is answered."""

    def end(_: int, __: FrameType | None) -> Any:
        sys.exit(0)

    former = {one: signal.signal(one, end) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
