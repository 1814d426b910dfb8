"""A decoder that some pictures take over, as a flaw in a library of codecs would let them."""

import ctypes
import os
import signal
import time

from hashret.features import decoding


def images():
    """The task of workers that decode images, but for hostile ones."""
    sound = decoding.images()

    def work(items, begin):
        data = items[0][1]
        if not data.startswith(b"HOSTILE "):
            return sound(items, begin)
        begin(0)
        does = data.split()[1]
        if does == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if does == b"segfault":
            ctypes.string_at(0)
        if does == b"hang":
            time.sleep(60)
        return [len(bytearray(4 << 30))]

    return work
