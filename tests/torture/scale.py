"""How long a harness runs: the short form in `make test`, the long one in `make torture`."""

import json
import os
import sys
from pathlib import Path

LONG = os.environ.get("HASHRET_TORTURE") == "long"
#: The file that `python -m tests.torture` collects figures from.
RECORD = "HASHRET_TORTURE_RECORD"


def say(promise: str, figures: str) -> None:
    """One line of figures, for the record that `make torture` keeps."""
    sys.stdout.write(f"{promise} {'long' if LONG else 'short'}: {figures}\n")
    if path := os.environ.get(RECORD):
        with Path(path).open("a", encoding="utf-8") as record:
            record.write(json.dumps([promise, figures]) + "\n")
