"""How is a training going? `Watcher` is told, whoever watches; TensorBoard's is `tensorboard`.

Nobody who watches changes a bit of what is learned: watchers are given copies, and draw none of the
training's random numbers.
"""

from indexer.training.watching.watcher import Seen, Watcher, Watching

__all__ = ["Seen", "Watcher", "Watching"]
