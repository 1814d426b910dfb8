"""Watchers of trainings, for tests."""

from indexer.training import Watcher


class Steps(Watcher):
    """Notes every step: the stage, how many are done, how many there are, and the loss."""

    def __init__(self):
        self.calls = []

    def on_step(self, stage, step, n_steps, loss):
        self.calls.append((stage, step, n_steps, loss))


class Everything(Watcher):
    """Notes every call, in order, with its arguments."""

    def __init__(self):
        self.calls = []

    def on_features(self, featurizer):
        self.calls.append(("features", featurizer))

    def on_stage(self, stage, n_steps):
        self.calls.append(("stage", stage, n_steps))

    def on_step(self, stage, step, n_steps, loss):
        self.calls.append(("step", stage, step, n_steps, loss))

    def on_codes(self, seen):
        self.calls.append(("codes", seen))

    def on_end(self, report):
        self.calls.append(("end", report))
