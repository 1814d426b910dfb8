"""Who may ask, and how much? Every request passes here before anything else sees it.

Foreign hosts, missing tokens, wrong types and large bodies are refused, time is limited, and every
answer carries the headers that keep a browser from doing more with it than it should.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from hashret.server.metrics import Metrics
from hashret.server.page_files import PAGE_FILES

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[MutableMapping[str, Any], _Receive, _Send], Awaitable[None]]

#: Largest body of a request in bytes: some 150,000 words.
MOST_BYTES = 1 << 20
#: Largest picture that is uploaded, in bytes.
MOST_PICTURE_BYTES = 32 << 20
#: Bytes of the bodies of all requests at a time.
_MOST_HELD = 256 << 20
#: Paths whose body is a picture.
_OF_PICTURES = ("/v1/query/image", "/v1/explain/image")
#: What may be had without a token: files without data of anybody's, and whether the server lives.
_OPEN = frozenset({*PAGE_FILES, "/healthz"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = [
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            b"img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


@dataclass(frozen=True, slots=True)
class Limits:
    """Whom a server answers, and how long it takes."""

    host: str = "127.0.0.1"
    """The address that it listens on."""
    names: frozenset[str] = frozenset()
    """Names under which it may be called, besides that address (and localhost)."""
    token: str | None = None
    """The token that every request must carry."""
    seconds: float = 30.0
    """The longest time that one request may take."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can ask."""
        return is_loopback(self.host)

    def answers_to(self, host: str) -> bool:
        """Whether the value of a Host header names this server.

        A page from elsewhere can point a name of its own at this machine, but not an address; so an
        address is enough where the server listens on all of them.
        """
        name = _name_of(host)
        if name in _LOOPBACK or name in self.names or name == self.host.lower():
            return True
        return self.host in ("0.0.0.0", "::") and _is_address(name)  # noqa: S104


def is_loopback(host: str) -> bool:
    """Whether nothing but this machine reaches the address."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name_of(host: str) -> str:
    """The name or address in a Host header, without the port; "" if it is none."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        sound = bracket and (not port or port[0] == ":") and _is_address(name)
    else:
        name, _, port = host.partition(":")
        sound = not port or port.isdecimal()
    return name.lower().rstrip(".") if sound else ""


class _RefusedError(Exception):
    """A request that is not passed on: its status and why."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Guard:
    """The app behind all checks, as an ASGI application."""

    def __init__(self, app: _App, limits: Limits, metrics: Metrics) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._held = 0  # bytes of the bodies of the requests in hand

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send
    ) -> None:
        """Answer a request. There are no web sockets."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        started = time.perf_counter()
        status = 0
        body = _Body(self._may_hold)

        async def sent(message: _Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = list(message.get("headers", []))
                message = {**message, "headers": given + _HEADERS}
            await send(message)

        try:
            async with asyncio.timeout(self._limits.seconds):
                self._check(scope)
                await body.read(scope, receive)
                await self._app(scope, _replay(body.content, receive), sent)
        except _RefusedError as refused:
            await _refuse(sent, refused.status, str(refused))
        except TimeoutError:
            if not status:
                limit = f"{self._limits.seconds:g} s"
                await _refuse(sent, 503, f"request: expected an answer within {limit}, got none")
        except Exception:
            if not status:
                await _refuse(sent, 500, "server: an error of its own; its log says which")
            raise
        finally:
            self._held -= body.n_bytes
            # the template of the path: names of items are not for whoever reads the metrics
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.request(route, status, time.perf_counter() - started)

    def _may_hold(self, n_bytes: int) -> bool:
        """Whether so many bytes more may be held; then they are."""
        if self._held + n_bytes > _MOST_HELD:
            return False
        self._held += n_bytes
        return True

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        """Raise `_RefusedError` for a foreign host, or where the token is not the one."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._limits.answers_to(hosts[0]):
            raise _RefusedError(
                421, "Host: expected a name of this server, got another; see --allow-host"
            )
        token = self._limits.token
        if token is None or scope["path"] in _OPEN:
            return
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, credentials = (given[0] if len(given) == 1 else b"").partition(b" ")
        matches = hmac.compare_digest(credentials.strip(), token.encode())
        if scheme.lower() != b"bearer" or not matches:
            raise _RefusedError(401, "Authorization: expected Bearer and the server's token")


class _Body:
    """The body of one request, read as far as it may be."""

    def __init__(self, may_hold: Callable[[int], bool]) -> None:
        self._may_hold = may_hold
        self._parts: list[bytes] = []
        self.n_bytes = 0

    @property
    def content(self) -> bytes:
        """What was read."""
        return b"".join(self._parts)

    async def read(self, scope: MutableMapping[str, Any], receive: _Receive) -> None:
        """Read all of it. Raises `_RefusedError` as soon as it is too large; for another type."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        is_picture = scope["path"] in _OF_PICTURES
        most = MOST_PICTURE_BYTES if is_picture else MOST_BYTES
        said = next((value for name, value in headers if name == b"content-length"), b"0")
        too_large = _RefusedError(413, f"body: expected at most {most:,} bytes, got more")
        if not said.isdigit() or len(said) > 18 or int(said) > most:
            raise too_large
        if scope["method"] == "POST":
            _require_type(headers, b"image/" if is_picture else b"application/json")
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _RefusedError(400, "body: expected all of it, got a part")
            part = message.get("body", b"")
            if self.n_bytes + len(part) > most:
                raise too_large
            if not self._may_hold(len(part)):
                raise _RefusedError(503, "server: expected fewer large bodies at a time; ask later")
            self._parts.append(part)
            self.n_bytes += len(part)
            if not message.get("more_body"):
                return


def _require_type(headers: list[tuple[bytes, bytes]], expected: bytes) -> None:
    """Raise `_RefusedError` unless the body is of the type, or of a kind that ends with a slash."""
    kinds = [value for name, value in headers if name == b"content-type"]
    kind = kinds[0].partition(b";")[0].strip().lower() if len(kinds) == 1 else b""
    if kind != expected and not (expected.endswith(b"/") and kind.startswith(expected)):
        what = "an image type" if expected.endswith(b"/") else expected.decode()
        raise _RefusedError(415, f"Content-Type: expected {what}, got another")


def _replay(body: bytes, receive: _Receive) -> _Receive:
    """What gives the body that was received already, and then what else comes."""
    left = [body]

    async def again() -> _Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again


async def _refuse(send: _Send, status: int, message: str) -> None:
    body = json.dumps({"detail": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 413:  # what is still on its way is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
