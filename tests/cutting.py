"""A wire to a PostgreSQL server that is cut at a chosen message, before or after the server got it."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
_CHUNK = 1 << 20
_PATIENCE = 0.1  # seconds


class CutWire:
    """Listens in a folder of its own, as `host=FOLDER` finds it, and relays until it is cut.

    The client's messages are counted from 1, and never cut at 0; number `cut_at` is not relayed or, if `after`, is
    relayed and answered by the server, but the answer is not. Connections are refused from then
    on. `cut` says whether it came to that; `messages` are all that the client sent.
    """

    def __init__(self, folder: Path, server: Path, cut_at: int = 0, after: bool = False):
        self.folder = folder
        folder.mkdir()
        self.cut = False
        self.messages: list[bytes] = []
        self._server = str(server / SOCKET)
        self._cut_at, self._after = cut_at, after
        self._answered = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _accept(self):
        threads = []
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self.cut:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                for target in (self._forward, self._back):
                    threads.append(threading.Thread(target=target, args=(client, server)))
                    threads[-1].start()
        for thread in threads:
            thread.join(10)

    def _forward(self, client, server):
        with suppress(OSError):
            for message in _messages(client):
                self.messages.append(message)
                self.cut |= len(self.messages) == self._cut_at
                if not self.cut or self._after:
                    server.sendall(message)
                if self.cut:
                    break
        if self.cut and self._after:
            self._answered.wait(_PATIENCE)  # not every message has an answer of its own
        _close(client, server)

    def _back(self, client, server):
        with suppress(OSError):
            while answer := server.recv(_CHUNK):
                if self.cut:
                    break
                client.sendall(answer)
        self._answered.set()
        _close(client, server)


def _messages(client):
    """What the client sends, cut where it waits for an answer, however it came in.

    PostgreSQL's protocol, version 3: a type and a length before each message but the first.
    """
    buffer = waiting = b""
    kind = None  # of the first message, which has none
    while received := client.recv(_CHUNK):
        buffer += received
        while len(buffer) >= (start := 0 if kind is None else 1) + 4:
            end = start + int.from_bytes(buffer[start : start + 4], "big")
            if len(buffer) < end:
                break
            kind = buffer[:start]
            waiting, buffer = waiting + buffer[:end], buffer[end:]
            if kind in (b"", b"Q", b"S", b"H", b"X"):  # query, sync, flush, terminate
                yield waiting
                waiting = b""


def _close(*sockets):
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
