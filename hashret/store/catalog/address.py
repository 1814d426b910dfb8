"""Where a catalog is, if it is on a PostgreSQL server: a database, and a schema of it.

The collection keeps the address in `catalog.json`, never a password: libpq finds that in
PGPASSWORD, ~/.pgpass or a service file, or the address is given again with it.

Whoever made a collection wrote the address in it. To follow it could send a password, or just a
sign of life, to a stranger's server. So an address is followed only where this user gave it: in
the call, in the variable HASHRET_CATALOG, or once before, as hashret remembers, like ssh its
known hosts, in `$XDG_STATE_HOME/hashret/catalogs`.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashret.errors import CollectionError, DamagedError, InputError
from hashret.store.disk.damage import damaged
from hashret.store.disk.files import write_file
from hashret.store.disk.untrusted import open_plain
from hashret.store.layout import Layout

#: The environment variable that stands for an address which is not given.
VARIABLE = "HASHRET_CATALOG"
DIALECT = "postgresql+psycopg"
_SCHEMA = re.compile(r"hashret_[0-9a-f]{32}")
_MAX_RECORD = 64 << 10  # bytes
_SECRETS = {"password", "sslpassword"}


@dataclass(frozen=True, slots=True)
class Address:
    """A database by its URL, which may hold a password, and the schema of one collection in it."""

    url: str
    schema: str

    @property
    def shown(self) -> str:
        """The URL without the password."""
        return without_password(self.url)


def checked(url: str) -> str:
    """The URL of a PostgreSQL database, in its one spelling. Raises InputError for another one."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(url)
    except (ArgumentError, ValueError):  # what they say may show the password
        found = None
    if found is None or found.drivername not in ("postgresql", DIALECT):
        scheme = url.partition(":")[0] if found is not None else "something else"
        raise InputError(
            f"--catalog: expected {DIALECT}://USER@HOST/DATABASE, got {scheme!r:.40}; "
            "leave it out for a catalog in the collection's folder"
        )
    if _SECRETS & found.query.keys():
        raise InputError(
            "--catalog: expected no password among the options of the address, got one; use "
            "PGPASSWORD, ~/.pgpass or USER:PASSWORD@HOST, which is not kept"
        )
    return found.set(drivername=DIALECT).render_as_string(hide_password=False)


def without_password(url: str) -> str:
    """The same URL without its password."""
    from sqlalchemy.engine import make_url

    found = make_url(url)
    return found._replace(password=None).render_as_string(hide_password=False)


def new_address(url: str) -> Address:
    """The address of a new catalog: a schema that no other collection has."""
    return Address(checked(url), f"hashret_{secrets.token_hex(16)}")


def from_environment() -> str | None:
    """The address in HASHRET_CATALOG, None if there is none."""
    return os.environ.get(VARIABLE) or None


def write_address(layout: Layout, address: Address) -> None:
    """Record, durably, where the catalog of a collection is."""
    record = {"url": address.shown, "schema": address.schema}
    write_file(layout.server, [json.dumps(record, indent=1).encode() + b"\n"])


def read_address(layout: Layout, given: str | None) -> Address:
    """Where the catalog of this collection is; `given` stands in place of the recorded URL.

    Raises `DamagedError` for a record that cannot be read, CollectionError for a URL that this
    user never gave, and InputError for a given one that is none.
    """
    record = _read(layout)
    schema = record["schema"]
    given = given or from_environment()
    if given:
        return Address(checked(given), schema)
    try:
        url = checked(record["url"])
    except InputError as error:
        raise _damaged(layout, "an address") from error
    if url not in remembered():
        raise CollectionError(
            f"{layout.root}: expected a catalog on a server that you have used before, got "
            f"{without_password(url)}; if you trust whoever made this collection, set "
            f"{VARIABLE} to that address"
        )
    return Address(url, schema)


def settle(layout: Layout, given: str) -> None:
    """A writer found the catalog at this address: record it, and follow it from now on."""
    address = Address(checked(given), _read(layout)["schema"])
    if _read(layout)["url"] != address.shown:
        write_address(layout, address)
    remember(address.url)


def _read(layout: Layout) -> dict[str, str]:
    with open_plain(layout.server) as stream:
        content = stream.read(_MAX_RECORD)
    try:
        record: Any = json.loads(content)
        if set(map(type, record.values())) != {str} or set(record) != {"url", "schema"}:
            raise ValueError("other fields")
    except (ValueError, AttributeError, RecursionError) as error:
        raise _damaged(layout, str(error)) from error
    if not _SCHEMA.fullmatch(record["schema"]):
        raise _damaged(layout, "another name of a schema")
    found: dict[str, str] = record
    return found


def _damaged(layout: Layout, got: str) -> DamagedError:
    return damaged(layout.server, "the address of a catalog", got)


def _memory() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "hashret" / "catalogs"


def remembered() -> set[str]:
    """The addresses, without passwords, that this user gave before."""
    with suppress(OSError, RuntimeError):  # no such file, or a user without a home
        return set(_memory().read_text(encoding="utf-8").splitlines())
    return set()


def remember(url: str) -> None:
    """Follow this address from now on wherever a collection records it.

    Where the user's folder cannot be written, it is not remembered, and has to be given again.
    """
    line = without_password(url)
    if line in remembered():
        return
    with suppress(OSError, RuntimeError):
        memory = _memory()
        memory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with memory.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
