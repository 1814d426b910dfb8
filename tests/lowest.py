"""Whether the lower bounds of pyproject.toml are honest: `make lowest`.

It makes an environment of its own with the lowest version that each dependency allows, installs
hashret there, indexes a small corpus of texts and one of images, and asks both.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
SMOKE = """
import numpy as np
from hashret import Collection, Item
from indexer import Indexer, TrainingOptions

texts = [Item(f"t{i}", f"{'ship sea' if i % 2 else 'bread oven'} word{i % 7}") for i in range(40)]
images = [Item(f"i{i}", np.full((16, 16), 200 * (i % 2) + i, np.uint8)) for i in range(40)]
for kind, items in (("text", texts), ("image", images)):
    with Indexer(kind, kind) as indexer:
        indexer.fit(items, TrainingOptions(n_bits=16, epochs=1))
        indexer.add(items)
        indexer.commit()
    with Collection.open(kind) as collection:
        assert len(collection) == 40
        hits = collection.query(items[0].payload, k=3)
        assert hits[0].distance == 0, hits
        assert len(collection.query(items[0].payload, k=3, index="faiss-flat")) == 3
print("lowest versions: sound")
"""


def lowest() -> list[str]:
    """Each dependency with the lowest version that it allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.sub(">=", "==", one) for one in project["dependencies"]]


def main() -> None:
    """Make the environment, install into it, and run the smoke test in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        venv, place = Path(folder) / "venv", Path(folder) / "empty"
        place.mkdir()
        python = venv / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *lowest()], check=True)
        subprocess.run([*pip, "--no-deps", ROOT], check=True)
        subprocess.run([python, "-c", SMOKE], check=True, cwd=place)


if __name__ == "__main__":
    main()
