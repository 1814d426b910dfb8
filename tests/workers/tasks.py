"""Tasks for workers that do what hostile files do to decoders."""

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np

from hashret.workers.pool import Work, each
from hashret.workers.refusals import Refused


def misbehave(*args) -> Work:
    """Items are [what to do, anything]; a good one comes back with the args and the process id."""

    def one(item):
        what, value = item
        if what == "hang":
            while True:
                time.sleep(0.05)
        if what == "spin":
            while True:
                pass
        if what == "segfault":
            ctypes.string_at(0)
        if what == "abort":
            os.abort()
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "exit":
            os._exit(3)
        if what == "bloat":
            return len(bytearray(value))
        if what == "native bloat":
            return int(np.ones(value, np.uint8)[-1])
        if what == "refuse":
            raise Refused("bad-text", str(value))
        if what == "write":
            try:
                with Path(value).open("wb") as stream:
                    stream.write(b"x")
                    stream.flush()
            except OSError as error:
                return error.strerror
        if what == "pid":
            return os.getpid()
        return [value, *args]

    return each(one)


def whole_batch() -> Work:
    """Dies of any batch with "bad" in it, without having said which item it is at."""

    def work(items, begin):
        if "bad" in items:
            os.abort()
        return [item.upper() for item in items]

    return work


def dies_of_any(*args) -> Work:
    """Is killed with whatever it is given, as by a system that is out of memory."""

    def one(item):
        os.kill(os.getpid(), signal.SIGKILL)

    return each(one)


def no_start(*args) -> Work:
    raise ValueError("no such model")


def dies_at_start() -> Work:
    os.abort()
