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
#: Connections that wait to be accepted.
_BACKLOG = 2_048
#: Seconds that requests have to end after a signal to stop.
_GRACE_SECONDS = 10


def serve(app: Guard, host: str, port: int, say: Callable[[str], None]) -> None:
    """Answer on this address until SIGTERM or SIGINT; requests that run are answered before.

    `say` is told the address once connections are accepted; port 0 takes a free one. Raises
    OSError where the address can't be had.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    # asyncio sends small answers at once only on sockets that name their protocol: without it each
    # waits 40 ms for an acknowledgement
    with socket.socket(family, kind, protocol) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
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
