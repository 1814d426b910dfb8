"""Requests a second, latency and memory of `hashret serve`, beside Chroma's own server.

    python -m benchmarks.server --datasets ../shared/datasets --work /tmp/server --chroma CHROMA

Both are asked over HTTP on loopback by wrk with 64 connections, one after the other on the same
processor, for the ten nearest. Chroma stores the vectors and searches its HNSW; hashret the sign
bits of the same vectors, and compares exactly. Texts are asked of hashret alone: Chroma's server
takes embeddings only. With --minutes the texts are asked for so long, and memory is noted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import serving_texts
from hashret import Item
from hashret.specs import VectorSpec

_CONNECTIONS = 64
_DIMS = 64
_CLUSTERS = 2_000
_ASKED = 500  # different questions
_PORT = 18_431
_WARM_SECONDS = 10  # in the first few an index of a million codes is built
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
#: wrk's script: each request has the next body of a file of one a line.
_SCRIPT = """
local bodies = {{}}
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
local n = math.random(#bodies)
request = function()
  n = n % #bodies + 1
  return wrk.format("POST", "{path}", {{["Content-Type"] = "application/json"}}, bodies[n])
end
"""


def vectors(n: int) -> np.ndarray:
    """(n, 64) float32 in random clusters."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(_CLUSTERS, _DIMS))
    noise = 0.5 * rng.normal(size=(n, _DIMS))
    return (centres[rng.integers(_CLUSTERS, size=n)] + noise).astype(np.float32)


def packed(given: np.ndarray) -> np.ndarray:
    """The sign bits, (n, 8) uint8."""
    return np.packbits(given > 0, axis=1, bitorder="little")


def make_vectors(path: Path, given: np.ndarray) -> None:
    """Commit the sign bits of the vectors to a new collection."""
    from indexer import Indexer

    rows = packed(given)
    with Indexer(path, "vector") as indexer:
        indexer.fit(
            (Item(str(n), row) for n, row in enumerate(rows[:1000])), spec=VectorSpec(packed=True)
        )
        indexer.add(Item(str(n), row) for n, row in enumerate(rows))
        indexer.commit()


@contextmanager
def running(command: list[str], url: str) -> Iterator[int]:
    """The process id of a server that answers at `url`."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            try:
                urllib.request.urlopen(url, timeout=1)  # noqa: S310 - our own address
                break
            except OSError:
                time.sleep(0.2)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def resident_mb(pid: int) -> float:
    """The memory of a process that is in use, and of those that it started (Linux)."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue
        if str(pid) in (fields["Pid"], fields["PPid"].strip()):
            total += int(fields.get("VmRSS", "0 kB").split()[0])
    return total / 1024


def ask(work: Path, url: str, path: str, bodies: list[Any], seconds: int) -> dict[str, float]:
    """What wrk says: requests a second, milliseconds of the median and of the 99th of a hundred."""
    lines, script = work / "bodies.txt", work / "ask.lua"
    lines.write_text("".join(json.dumps(one) + "\n" for one in bodies), encoding="utf-8")
    script.write_text(_SCRIPT.format(bodies=lines, path=path), encoding="utf-8")
    command = ["wrk", "-t2", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
    done = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout or "Requests/sec" not in done.stdout:
        raise RuntimeError(done.stdout)
    found = {"requests/s": float(re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)[0])}
    for name, label in (("p50 ms", "50%"), ("p99 ms", "99%")):
        number, unit = re.findall(rf"\s{label}\s+([\d.]+)(us|ms|s|m)", done.stdout)[0]
        found[name] = float(number) * _UNITS[unit]
    return found


def hashret(work: Path, name: str, bodies: list[Any], seconds: int, minutes: float) -> None:
    """Ask a collection of `work`; show figures, and with `minutes` memory as time goes."""
    url = f"http://127.0.0.1:{_PORT}"
    command = [sys.executable, "-c", "from indexer.cli import main; main()", "serve"]
    with running([*command, str(work / name), "--port", str(_PORT)], f"{url}/healthz") as pid:
        ask(work, url, "/v1/query", bodies, _WARM_SECONDS)
        show(f"hashret {name}", ask(work, url, "/v1/query", bodies, seconds), pid)
        for _ in range(int(minutes * 2)):
            show(f"hashret {name}", ask(work, url, "/v1/query", bodies, 30), pid)
        os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    with running([*command, str(work / name), "--port", str(_PORT)], f"{url}/healthz") as pid:
        took = time.monotonic() - started
        told = ask(work, url, "/v1/query", bodies, 2)
        print(f"hashret {name}: killed, answers again after {took:.1f} s", told, flush=True)


def chroma(work: Path, program: str, given: np.ndarray, seconds: int) -> None:
    """Ask Chroma's server for the same vectors."""
    folder, url = work / "chroma", f"http://127.0.0.1:{_PORT + 1}"
    command = [program, "run", "--path", str(folder), "--port", str(_PORT + 1)]
    base = f"{url}/api/v2/tenants/default_tenant/databases/default_database/collections"
    with running(command, f"{url}/api/v2/heartbeat") as pid:
        made = _post(base, {"name": "vectors", "get_or_create": True})
        started = time.monotonic()
        rows = iter(enumerate(given.tolist()))
        while block := list(islice(rows, 2_000)):
            ids, embeddings = zip(*block, strict=True)
            _post(
                f"{base}/{made['id']}/upsert", {"ids": [*map(str, ids)], "embeddings": embeddings}
            )
        print(f"chroma: {len(given):,} vectors in {time.monotonic() - started:.0f} s", flush=True)
        bodies = [
            {"query_embeddings": [one], "n_results": 10, "include": ["distances"]}
            for one in given[:_ASKED].tolist()
        ]
        path = f"{base.removeprefix(url)}/{made['id']}/query"
        ask(work, url, path, bodies, _WARM_SECONDS)
        show("chroma vectors", ask(work, url, path, bodies, seconds), pid)


def _post(url: str, body: Any) -> Any:
    data = json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own address
        url, data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


def show(what: str, figures: dict[str, float], pid: int) -> None:
    """One line of figures, with the memory of the process and its children."""
    said = ", ".join(f"{name} {value:.1f}" for name, value in figures.items())
    print(f"{what}: {said}, {resident_mb(pid):.0f} MB", flush=True)


def main() -> None:
    """Make what is not there yet, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--n-texts", type=int, default=18_000)
    parser.add_argument("--n-vectors", type=int, default=1_000_000)
    parser.add_argument("--chroma", help="The program `chroma`.")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=0.0)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    rows = vectors(given.n_vectors)
    if not (given.work / "vectors").exists():
        make_vectors(given.work / "vectors", rows)
    if not (given.work / "texts").exists():
        serving_texts.make(given.work / "texts", given.n_texts, given.datasets)
    texts = [{"text": text, "k": 10} for text in serving_texts.queries(given.datasets)]
    by_codes = [one | {"codes_only": True} for one in texts]
    # numbers that are all below 128 could be bytes with a sign, and are refused
    bits = [one for one in packed(rows[: 2 * _ASKED]).tolist() if max(one) > 127]
    asked = [{"vector": one, "k": 10} for one in bits[:_ASKED]]
    hashret(given.work, "texts", texts, given.seconds, given.minutes)
    hashret(given.work, "texts", by_codes, given.seconds, 0)
    hashret(given.work, "vectors", asked, given.seconds, 0)
    if given.chroma:
        chroma(given.work, given.chroma, rows, given.seconds)


if __name__ == "__main__":
    main()
