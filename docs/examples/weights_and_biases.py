"""Watch a training with Weights & Biases: pip install hashret wandb.

python weights_and_biases.py FILE COLLECTION learns a collection from a table of texts, such as a
.jsonl file, and logs how that goes. With WANDB_MODE=offline nothing leaves this machine: the run is
written below $WANDB_DIR, and `wandb sync` can send it later.
"""

import sys
from pathlib import Path

import wandb

from indexer import Indexer, corpus
from indexer.training import Seen, TrainingOptions, TrainingReport, Watcher


class WeightsAndBiases(Watcher):
    """Logs a training to a run of Weights & Biases."""

    def __init__(self, run: wandb.Run):
        """Log to `run`. Each stage counts steps of its own, so each has its own axis."""
        self._run = run

    def on_stage(self, stage: str, n_steps: int) -> None:
        """Give the stage its axis."""
        self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")

    def on_step(self, stage: str, step: int, n_steps: int, loss: float) -> None:
        """Log the loss; it is not a number in stages that have none."""
        if loss == loss:
            self._run.log({f"{stage}/step": step, f"{stage}/loss": loss})

    def on_codes(self, seen: Seen) -> None:
        """Log what the codes are like."""
        least, _, most = seen.look.bit_balance
        figures = {"step": seen.step, "noise": seen.look.noise, "saturated": seen.look.saturated}
        figures |= {"ones/least": least, "ones/most": most}
        figures |= {"logits": wandb.Histogram(seen.logits.ravel())}
        self._run.log({f"{seen.stage}/{name}": value for name, value in figures.items()})

    def on_end(self, report: TrainingReport) -> None:
        """Keep the warnings with the run."""
        self._run.summary["warnings"] = report.warnings


def main(source: Path, to: Path) -> None:
    """Learn the collection `to` from `source`, and log the training."""
    options = TrainingOptions(n_bits=64)
    with (
        wandb.init(project="hashret", config={"source": source.name}) as run,
        Indexer(to, "text") as indexer,
    ):
        items = list(corpus.read([source], "text"))
        report = indexer.fit(items, options, watchers=[WeightsAndBiases(run)])
        run.config.update({"options": report.to_json()["options"]})
        indexer.add(items)
        indexer.commit()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
