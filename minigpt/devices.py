"""What a machine has: devices, several processes, a compiler, low precision, and signals.

Chapter 11 tells what each is for; none of it changes what is computed, only where and how fast.
"""

import contextlib
import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor, nn

Result = TypeVar("Result")


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


def compiled(model: nn.Module, example: Tensor) -> nn.Module:
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
