"""Training a GPT: the loop, what it needs to be fast, and what it needs never to lose a run.

Chapter 11 builds it. Matrices inside the blocks are trained by Muon, everything else by AdamW; the learning rate warms
up, stays, and decays to zero. Everything that a step does is a function of the configuration and the number of the
step, so a run that was killed goes on from its last checkpoint bit for bit (on a CPU). Start it under `torchrun` and
the rows of each batch are shared among the processes.
"""

import contextlib
import json
import math
import statistics
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from minigpt.checkpoints import flatten, newest_checkpoint, save_checkpoint, unflatten
from minigpt.datasets import Batches, Tokens
from minigpt.devices import Interruption, Process, compiled, precision
from minigpt.errors import MinigptError
from minigpt.evaluation import bits_per_character
from minigpt.files import replacing
from minigpt.transformer import GPT

WARM_UP_STEPS = 60
SHOW_EVERY = 10
PACE_STEPS = 50  # the last steps, whose median time is the pace


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides how a run goes.

    Attributes:
        steps: how many optimiser steps; or None, to take as many as fit into `seconds`.
        seconds: the time for training when `steps` is None.
        batch_size: windows in a step, over all processes.
        micro_batch_size: windows that fit into memory at once, a process; gradients are accumulated over the rest.
        learning_rate: AdamW's at its highest (Muon's is `muon_learning_rate`).
        weight_decay: of the matrices, times the learning rate.
        decay: the last fraction of the steps, in which the learning rate falls to zero.
        clip: the largest norm of the gradient.
        evaluations: how often the validation set is scored, and a checkpoint is written.
        compile: whether to try `torch.compile`.
        seed: of the weights and of the order of the data.
    """

    steps: int | None = None
    seconds: float | None = None
    batch_size: int = 6
    micro_batch_size: int = 6
    learning_rate: float = 6e-3
    muon_learning_rate: float = 0.005
    weight_decay: float = 0.01
    decay: float = 0.6
    clip: float = 1.0
    evaluations: int = 10
    compile: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise MinigptError("training needs either a number of steps or a number of seconds: give one of them")
        for name in ("steps", "seconds", "batch_size", "micro_batch_size", "learning_rate", "evaluations"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise MinigptError(f"{name} is {value}, but must be positive")


def learning_rate_factor(step: int, steps: int, decay: float) -> float:
    """The schedule: up in a line, level, and down in a line to zero (trapezoid; Hägele et al. 2024, section 3).

    >>> [learning_rate_factor(step, 1000, 0.5) for step in (29, 59, 500, 750, 1000)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    return warm_up * min(1.0, (steps - step) / max(1.0, decay * steps))


def make_optimizers(model: GPT, config: TrainingConfig) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings, the head, gains and biases (Jordan et al. 2024)."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    chosen = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in chosen]
    # "original" is Jordan's scaling: a matrix with more rows than columns takes longer steps.
    muon = torch.optim.Muon(
        matrices, lr=config.muon_learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="original"
    )
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    adamw = torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=fused)
    return {"muon": muon, "adamw": adamw}


@dataclass
class Progress:
    """Where a run stands: with the weights and the optimisers, all that a checkpoint holds.

    Attributes:
        step: steps taken.
        steps: steps in all; None until the learning rate begins to fall, if it is the time that is given.
        seconds: time spent in training so far, over all sittings.
        evaluated: how many of the evaluations have been done.
        log: one row an evaluation.
    """

    step: int = 0
    steps: int | None = None
    seconds: float = 0.0
    evaluated: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)


class Learner:
    """A model that learns: its optimisers, and one step of them over one batch.

    Args:
        model: the GPT, on this process's device.
        config: how to train.
        process: this process among those that train together.

    Raises:
        MinigptError: the batch cannot be shared among the processes.
    """

    def __init__(self, model: GPT, config: TrainingConfig, process: Process):
        if config.batch_size % process.world:
            raise MinigptError(
                f"a batch of {config.batch_size} rows cannot be shared among {process.world} processes: choose a"
                " multiple with --batch-size"
            )
        rows = config.batch_size // process.world
        self.micro_rows = min(config.micro_batch_size, rows)  # what a process takes at once
        if rows % self.micro_rows:
            raise MinigptError(
                f"a process's {rows} rows of a batch are not a multiple of micro_batch_size {config.micro_batch_size}:"
                " choose another with --micro-batch-size"
            )
        self.model, self.config, self.process = model, config, process
        self.optimizers = make_optimizers(model, config)
        self.nats = torch.zeros((), device=process.device)  # sum of the losses of the steps since it was last emptied

    def make_ready(self, example: Tensor) -> None:
        """Compile the model for the shape of the example (B, T + 1), and join the other processes."""
        model = compiled(self.model, example[: self.micro_rows]) if self.config.compile else self.model
        self.parallel = DistributedDataParallel(model) if self.process.world > 1 else model

    def take_step(self, batch: Tensor, factor: float) -> None:
        """One step of the optimisers over one batch (B, T + 1), at some factor of the highest learning rate."""
        *pieces, last = batch.split(self.micro_rows)
        # Processes exchange gradients once a step, with the last piece.
        with self.parallel.no_sync() if self.process.world > 1 else contextlib.nullcontext():
            for piece in pieces:
                self.accumulate(piece, len(pieces) + 1)
        self.accumulate(last, len(pieces) + 1)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        rates = {"muon": self.config.muon_learning_rate, "adamw": self.config.learning_rate}
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def accumulate(self, rows: Tensor, pieces: int) -> None:
        """Add the gradient of one of the pieces of a batch."""
        with precision(self.process.device):
            loss = self.parallel(rows[:, :-1], rows[:, 1:]) / pieces
        loss.backward()
        self.nats += loss.detach()

    def mean_loss(self, steps: int) -> float:
        """The mean loss of so many steps in nats, over all processes."""
        if self.process.world > 1:
            distributed.all_reduce(self.nats, distributed.ReduceOp.SUM)
            self.nats /= self.process.world
        return self.nats.item() / steps

    def tensors(self) -> dict[str, Tensor]:
        """Everything that learning changes."""
        tensors = {f"model.{name}": weight.detach() for name, weight in self.model.named_parameters()}
        tensors["nats"] = self.nats
        for name, optimizer in self.optimizers.items():
            tensors |= flatten(name, optimizer.state_dict())
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to what `tensors` gave.

        Raises:
            MinigptError: the weights are of another model.
        """
        load_weights(self.model, tensors)
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(optimizer.state_dict() | {"state": unflatten(name, tensors)})
        self.nats = tensors["nats"].to(self.process.device)


class Clock:
    """Where a run stands, in steps and in time; all processes go by the clock of the first.

    Args:
        config: how to train.
        process: this process among those that train together.
    """

    def __init__(self, config: TrainingConfig, process: Process):
        self.config, self.process = config, process
        self.progress = Progress(steps=config.steps)
        self.paces: deque[float] = deque(maxlen=PACE_STEPS)  # seconds that the last steps took

    def start(self) -> None:
        """Go on from the seconds that were spent in earlier sittings."""
        self.started = time.perf_counter() - self.progress.seconds

    def tick(self) -> None:
        """Note that a step was taken, and the time."""
        progress = self.progress
        progress.step += 1
        now = time.perf_counter() - self.started
        if progress.steps is None:  # the time decides what is done next
            now = self.agree(now)
        self.paces.append(now - progress.seconds)
        progress.seconds = now

    def agree(self, number: float) -> float:
        """The first process's number, in all of them."""
        if self.process.world == 1:
            return number
        shared = torch.tensor(number, dtype=torch.float64, device=self.process.device)
        distributed.broadcast(shared, 0)
        return shared.item()

    @property
    def factor(self) -> float:
        """Of the learning rate; until it begins to fall, it does not depend on how many steps there will be."""
        return learning_rate_factor(self.progress.step, self.progress.steps or sys.maxsize, self.config.decay)

    @property
    def is_decay_about_to_begin(self) -> bool:
        """Whether it is time to decide how many steps there will be."""
        return self.progress.steps is None and self.progress.seconds >= (1 - self.config.decay) * self.config.seconds

    def plan(self) -> None:
        """Decide how many steps fit into the time that is left after the evaluation which has just been made."""
        progress = self.progress
        evaluation = time.perf_counter() - self.started - progress.seconds
        to_come = self.config.evaluations - progress.evaluated
        left = self.config.seconds - progress.seconds - evaluation * (to_come + 1)
        progress.steps = int(self.agree(progress.step + max(1, int(left / statistics.median(self.paces)))))

    @property
    def evaluations_due(self) -> int:
        """How many evaluations, evenly spaced over the steps or else the time, should be done by now."""
        progress, count = self.progress, self.config.evaluations
        if progress.steps is None:
            return int(count * progress.seconds / self.config.seconds)
        return count * progress.step // progress.steps

    @property
    def is_over(self) -> bool:
        """Whether all steps have been taken."""
        return self.progress.steps is not None and self.progress.step >= self.progress.steps

    @property
    def expected_steps(self) -> int:
        """Steps in all, or a guess by the time that the first ones took."""
        return self.progress.steps or int(self.progress.step * self.config.seconds / self.progress.seconds)


class Trainer:
    """One training run in a folder.

    Args:
        model: the GPT, on this process's device.
        train: the tokens to learn from.
        validation: the tokens to be judged by.
        end_of_text: the tokeniser's id that begins each document.
        config: how to train.
        folder: where checkpoints and the log are written.
        process: this process among those that train together.
        floor: bits per character that no model can beat, where that is known.

    Raises:
        MinigptError: the batch cannot be shared among the processes, or the text is too short.
    """

    def __init__(
        self,
        model: GPT,
        train: Tokens,
        validation: Tokens,
        end_of_text: int,
        config: TrainingConfig,
        folder: Path,
        process: Process,
        floor: float | None = None,
    ):
        self.learner, self.clock = Learner(model, config, process), Clock(config, process)
        self.model, self.folder, self.process = model, folder, process
        self.validation, self.end_of_text, self.floor = validation, end_of_text, floor
        self.batches = Batches(train, model.config.context_length, config.batch_size, config.seed)
        self.bits_per_character_per_nat = len(train.ids) / train.characters / math.log(2)

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        return self.clock.progress

    def resume(self) -> bool:
        """Go back to the newest good checkpoint; False if there is none.

        Raises:
            MinigptError: its weights are of another model.
        """
        found = newest_checkpoint(self.folder)
        if found is None:
            return False
        tensors, facts = found
        self.learner.load(tensors)
        self.clock.progress = Progress(**facts)
        return True

    def save(self) -> None:
        """Write a checkpoint and the log."""
        if self.process.is_first:
            save_checkpoint(self.folder, self.progress.step, self.learner.tensors(), asdict(self.progress))
            write_log(self.folder / "log.jsonl", self.progress.log)

    def run(self) -> Progress:
        """Train to the end.

        Raises:
            MinigptError: the loss is no longer a number, or the user interrupted; the last checkpoint stays.
        """
        self.clock.start()
        self.learner.make_ready(self.batch())
        bar = tqdm(unit="step", initial=self.progress.step, disable=not self.process.is_first)
        with Interruption() as interruption, bar:
            while not self.clock.is_over:
                self.take_step()
                self.evaluate_if_due()
                self.show(bar)
                if interruption.asked:
                    self.save()
                    raise MinigptError(
                        f"interrupted; everything up to step {self.progress.step} is saved: go on with"
                        f"  minigpt train --resume --out {self.folder}"
                    )
        return self.progress

    def batch(self) -> Tensor:
        """This process's share of the next batch (B, T + 1)."""
        rows = self.batches.batch(self.progress.step, self.process.rank, self.process.world)
        return rows.to(self.process.device, non_blocking=True)

    def take_step(self) -> None:
        """Learn from the next batch."""
        self.learner.take_step(self.batch(), self.clock.factor)
        self.clock.tick()

    def evaluate_if_due(self) -> None:
        """Keep to the schedule of evaluations; there is one more where the learning rate begins to fall.

        The number of steps that is planned there is saved at once: from then on the learning rate depends on it, and a
        run that is resumed keeps to it, and so repeats what it would have done.
        """
        if self.clock.is_decay_about_to_begin:
            self.evaluate()
            self.clock.plan()
            self.save()
        elif self.clock.evaluations_due > self.progress.evaluated:
            self.progress.evaluated = self.clock.evaluations_due
            self.evaluate()

    def evaluate(self) -> None:
        """Score the validation set, add a row to the log, and save.

        Raises:
            MinigptError: the loss is no longer a number.
        """
        progress = self.progress
        train = self.learner.mean_loss(self.steps_since_evaluation) * self.bits_per_character_per_nat
        validation = bits_per_character(self.model, self.validation, self.end_of_text)
        if not math.isfinite(train + validation):
            raise self.not_a_number()
        self.learner.nats.zero_()
        progress.log = [*progress.log, {
            "step": progress.step,
            "seconds": round(progress.seconds, 3),
            "tokens": self.tokens,
            "train_bits_per_character": train,
            "validation_bits_per_character": validation,
            "floor_bits_per_character": self.floor,
            "tokens_per_second": round(self.tokens / progress.seconds, 1),
        }]  # fmt: skip
        self.save()

    @property
    def steps_since_evaluation(self) -> int:
        """Steps since the last row of the log."""
        return self.progress.step - (self.progress.log[-1]["step"] if self.progress.log else 0)

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.progress.step * self.batches.batch_size * self.model.config.context_length

    def not_a_number(self) -> MinigptError:
        """What to say when the loss is NaN or infinite."""
        return MinigptError(
            f"the loss is no longer a number at step {self.progress.step}; the last good checkpoint stays in"
            f" {self.folder}: train again with a lower --learning-rate"
        )

    def show(self, bar: tqdm) -> None:
        """Move the bar on; now and then put the figures that matter beside it (reading the loss waits for a GPU).

        Raises:
            MinigptError: the loss is no longer a number.
        """
        bar.total = self.clock.expected_steps
        bar.update(self.progress.step - bar.n)
        steps = self.steps_since_evaluation
        if self.progress.step % SHOW_EVERY or not steps:
            return
        nats = self.learner.nats.item() / steps
        if not math.isfinite(nats):
            raise self.not_a_number()
        bits = nats * self.bits_per_character_per_nat
        figures = {"loss": f"{nats:.3f}", "bits/char": f"{bits:.3f}"}
        if self.floor is not None:
            figures["above floor"] = f"{bits - self.floor:.3f}"
        bar.set_postfix(figures | {"tokens/s": f"{self.tokens / self.progress.seconds:,.0f}"}, refresh=False)


def load_weights(model: GPT, tensors: Mapping[str, Tensor]) -> None:
    """Put the weights of a checkpoint into a model.

    Raises:
        MinigptError: they are of another model.
    """
    weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    if model.config.tied_embeddings and "embedding.weight" in weights:  # which is kept once
        weights["head.weight"] = weights["embedding.weight"]
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        problem = str(error).splitlines()[1].strip()
        raise MinigptError(
            f"the checkpoint is of another model ({problem}): use the configuration that it was trained with"
        ) from None


def write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one row an evaluation, as JSON lines."""
    with replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
