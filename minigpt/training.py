"""Training a GPT: the loop, what it needs to be fast, and what it needs never to lose a run.

Chapter 11 builds it. Matrices inside the blocks are trained by Muon, everything else by AdamW; the learning rate warms
up, stays, and decays to zero. Everything that a step does is a function of the configuration and the number of the
step, so a run that was killed goes on from its last checkpoint bit for bit (on a CPU). Start it under `torchrun` and
the rows of each batch are shared among the processes.
"""

import contextlib
import json
import math
import os
import shutil
import signal
import statistics
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from minigpt.checkpoints import flatten, newest_checkpoint, save_checkpoint, unflatten
from minigpt.datasets import Batches, Tokens
from minigpt.errors import MinigptError
from minigpt.evaluation import bits_per_character
from minigpt.files import replacing
from minigpt.transformer import GPT

Result = TypeVar("Result")
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


@dataclass(frozen=True)
class Process:
    """This process among those that train together.

    Attributes:
        rank: which one it is; the first writes the files.
        world: how many there are.
        device: what it computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and shows the progress."""
        return self.rank == 0

    def one_after_the_other(self, work: Callable[[], Result]) -> Result:
        """Do some work in the first process, then in the others, who find what it left on the disk."""
        if not self.is_first:
            distributed.barrier()
        result = work()
        if self.is_first and self.world > 1:
            distributed.barrier()
        return result


@contextlib.contextmanager
def processes() -> Iterator[Process]:
    """Find the device, and join the other processes when `torchrun` started several."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = best_device(int(os.environ.get("LOCAL_RANK", 0)))
    if world == 1:
        yield Process(0, 1, device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Process(rank, world, device)
    finally:
        distributed.destroy_process_group()


def best_device(local_rank: int = 0) -> torch.device:
    """CUDA if there is a GPU, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
        torch.set_float32_matmul_precision("high")
        return torch.device("cuda", local_rank)
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


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
    # Muon's update has the size of Adam's with this scaling, so one range of learning rates fits both (Liu et al.
    # 2025).
    muon = torch.optim.Muon(
        matrices, lr=config.muon_learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="original"
    )
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    adamw = torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=fused)
    return {"muon": muon, "adamw": adamw}


def compiled(model: GPT, example: Tensor) -> nn.Module:
    """`torch.compile` the model if a compiler is present and it works; else the model as it is.

    Args:
        model: the model.
        example: ids (B, T + 1) of the shape that training will use: it is compiled now, for that shape.
    """
    has_compiler = any(map(shutil.which, ("c++", "g++", "clang++"))) or example.device.type == "cuda"
    if not has_compiler or example.device.type == "mps":
        return model
    try:
        faster = torch.compile(model, dynamic=False)
        with precision(example.device):
            faster(example[:, :-1], example[:, 1:]).backward()
    except Exception as error:  # whatever goes wrong inside a compiler, training can do without it
        warnings.warn(f"torch.compile failed ({type(error).__name__}); training without it", stacklevel=2)
        faster = model
    model.zero_grad(set_to_none=True)
    return faster


def precision(device: torch.device) -> contextlib.AbstractContextManager:
    """bfloat16 on a GPU that has it, float32 elsewhere."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


class Interruption:
    """Notes a Ctrl-C (or a polite kill) and lets the step in hand come to its end; a second one stops at once."""

    def __enter__(self) -> "Interruption":
        self.asked = False
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number: int, frame: Any) -> None:
        self.asked = True
        signal.signal(number, self._before[number])

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


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
        self.model, self.config, self.folder, self.process = model, config, folder, process
        if config.batch_size % process.world:
            raise MinigptError(
                f"a batch of {config.batch_size} rows cannot be shared among {process.world} processes: choose a"
                " multiple with --batch-size"
            )
        if config.batch_size // process.world % self.micro_rows:
            raise MinigptError(
                f"a process's {config.batch_size // process.world} rows of a batch are not a multiple of"
                f" micro_batch_size {config.micro_batch_size}: choose another with --micro-batch-size"
            )
        self.validation, self.end_of_text, self.floor = validation, end_of_text, floor
        self.batches = Batches(train, model.config.context_length, config.batch_size, config.seed)
        self.bits_per_character_per_nat = len(train.ids) / train.characters / math.log(2)
        self.optimizers = make_optimizers(model, config)
        self.progress = Progress(steps=config.steps)
        self.nats = torch.zeros((), device=process.device)  # sum of the losses of the steps since the last evaluation
        self.paces: deque[float] = deque(maxlen=PACE_STEPS)  # seconds that the last steps took

    def resume(self) -> bool:
        """Go back to the newest good checkpoint; False if there is none.

        Raises:
            MinigptError: its weights are of another model.
        """
        found = newest_checkpoint(self.folder)
        if found is None:
            return False
        tensors, facts = found
        load_weights(self.model, tensors)
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(optimizer.state_dict() | {"state": unflatten(name, tensors)})
        self.nats = tensors["nats"].to(self.process.device)
        self.progress = Progress(**facts)
        return True

    def save(self) -> None:
        """Write a checkpoint and the log."""
        if not self.process.is_first:
            return
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()} | {"nats": self.nats}
        for name, optimizer in self.optimizers.items():
            tensors |= flatten(name, optimizer.state_dict())
        save_checkpoint(self.folder, self.progress.step, tensors, asdict(self.progress))
        write_log(self.folder / "log.jsonl", self.progress.log)

    def run(self) -> Progress:
        """Train to the end.

        Raises:
            MinigptError: the loss is no longer a number, or the user interrupted; the last checkpoint stays.
        """
        self.started = time.perf_counter() - self.progress.seconds
        model = compiled(self.model, self.batch(0)[: self.micro_rows]) if self.config.compile else self.model
        self.parallel = DistributedDataParallel(model) if self.process.world > 1 else model
        with Interruption() as interruption, self.progress_bar() as bar:
            while self.progress.steps is None or self.progress.step < self.progress.steps:
                self.take_step()
                self.read_clock()
                if self.is_decay_about_to_begin():
                    self.plan()
                elif self.evaluations_due > self.progress.evaluated:
                    self.progress.evaluated = self.evaluations_due
                    self.evaluate()
                self.show(bar)
                if interruption.asked:
                    self.save()
                    raise MinigptError(
                        f"interrupted; everything up to step {self.progress.step} is saved: go on with"
                        f"  minigpt train --resume --out {self.folder}"
                    )
        return self.progress

    @property
    def micro_rows(self) -> int:
        """Rows of a batch that this process takes at once."""
        return min(self.config.micro_batch_size, self.config.batch_size // self.process.world)

    def batch(self, step: int) -> Tensor:
        """This process's share of the batch of a step (B, T + 1)."""
        rows = self.batches.batch(step, self.process.rank, self.process.world)
        return rows.to(self.process.device, non_blocking=True)

    def take_step(self) -> None:
        """One step of the optimisers, over one batch."""
        progress, world = self.progress, self.process.world
        *pieces, last = self.batch(progress.step).split(self.micro_rows)
        with self.parallel.no_sync() if world > 1 else contextlib.nullcontext():
            for piece in pieces:
                self.accumulate(piece, len(pieces) + 1)
        self.accumulate(last, len(pieces) + 1)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        # Until the learning rate begins to fall, it does not depend on how many steps there will be.
        factor = learning_rate_factor(progress.step, progress.steps or sys.maxsize, self.config.decay)
        rates = {"muon": self.config.muon_learning_rate, "adamw": self.config.learning_rate}
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress.step += 1

    def accumulate(self, rows: Tensor, pieces: int) -> None:
        """Add the gradient of one of the pieces of a batch."""
        with precision(self.process.device):
            loss = self.parallel(rows[:, :-1], rows[:, 1:]) / pieces
        loss.backward()
        self.nats += loss.detach()

    def read_clock(self) -> None:
        """Note the time; while it decides what is done next, all processes go by the first one's clock."""
        now = torch.tensor(time.perf_counter() - self.started, dtype=torch.float64)
        if self.process.world > 1 and self.progress.steps is None:
            now = now.to(self.process.device)
            distributed.broadcast(now, 0)
        self.paces.append(now.item() - self.progress.seconds)
        self.progress.seconds = now.item()

    def is_decay_about_to_begin(self) -> bool:
        """Whether it is time to decide how many steps there will be."""
        return self.progress.steps is None and self.progress.seconds >= (1 - self.config.decay) * self.config.seconds

    @property
    def evaluations_due(self) -> int:
        """How many evaluations, evenly spaced over the steps or else the time, should be done by now."""
        progress, count = self.progress, self.config.evaluations
        if progress.steps is None:
            return int(count * progress.seconds / self.config.seconds)
        return count * progress.step // progress.steps

    def plan(self) -> None:
        """Decide how many steps fit into the time that is left, for from here on the learning rate depends on it.

        The number is saved at once: a run that is resumed keeps to it, and so repeats what it would have done.
        """
        progress, pace = self.progress, statistics.median(self.paces)
        self.evaluate()
        evaluation = time.perf_counter() - self.started - progress.seconds
        to_come = self.config.evaluations - progress.evaluated
        left = self.config.seconds - progress.seconds - evaluation * (to_come + 1)
        steps = torch.tensor(progress.step + max(1, int(left / pace)), device=self.process.device)
        if self.process.world > 1:
            distributed.broadcast(steps, 0)
        progress.steps = int(steps)
        self.save()

    def evaluate(self) -> None:
        """Score the validation set, add a row to the log, and save.

        Raises:
            MinigptError: the loss is no longer a number.
        """
        progress = self.progress
        if self.process.world > 1:
            distributed.all_reduce(self.nats, distributed.ReduceOp.SUM)
            self.nats /= self.process.world
        steps = progress.step - (progress.log[-1]["step"] if progress.log else 0)
        train = self.nats.item() / steps * self.bits_per_character_per_nat
        validation = bits_per_character(self.model, self.validation, self.end_of_text)
        if not math.isfinite(train + validation):
            raise self.not_a_number()
        self.nats.zero_()
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
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.progress.step * self.config.batch_size * self.model.config.context_length

    def not_a_number(self) -> MinigptError:
        """What to say when the loss is NaN or infinite."""
        return MinigptError(
            f"the loss is no longer a number at step {self.progress.step}; the last good checkpoint stays in"
            f" {self.folder}: train again with a lower --learning-rate"
        )

    def progress_bar(self) -> tqdm:
        """A bar over the steps, in a terminal or a notebook."""
        return tqdm(unit="step", initial=self.progress.step, disable=not self.process.is_first)

    def show(self, bar: tqdm) -> None:
        """Move the bar on; now and then put the figures that matter beside it (reading the loss waits for a GPU).

        Raises:
            MinigptError: the loss is no longer a number.
        """
        progress = self.progress
        bar.total = progress.steps or int(progress.step * self.config.seconds / progress.seconds)
        bar.update(progress.step - bar.n)
        steps = progress.step - (progress.log[-1]["step"] if progress.log else 0)
        if progress.step % SHOW_EVERY or not steps:
            return
        nats = self.nats.item() / steps
        if not math.isfinite(nats):
            raise self.not_a_number()
        bits = nats * self.bits_per_character_per_nat
        figures = {"loss": f"{nats:.3f}", "bits/char": f"{bits:.3f}"}
        if self.floor is not None:
            figures["above floor"] = f"{bits - self.floor:.3f}"
        bar.set_postfix(figures | {"tokens/s": f"{self.tokens / progress.seconds:,.0f}"}, refresh=False)


def load_weights(model: GPT, tensors: Mapping[str, Tensor]) -> None:
    """Put the weights of a checkpoint into a model.

    Raises:
        MinigptError: they are of another model.
    """
    weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
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
