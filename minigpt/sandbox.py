"""The sandbox: a reader's code runs in a process of its own, and its functions can be called from here like others.

The check of an exercise runs here, where the reader's code cannot reach it. What it calls is a stand-in, which sends
the arguments to the other process and brings the result back, as data (`minigpt.messages`). That process has no
network, sees no files but Python's and this package's, can write to an empty folder in memory only, and is ended when
it takes too much time, memory or processes. Bubblewrap shuts it in; where that is missing, `missing_protection` says
what nobody enforces.
"""

import builtins
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from select import select
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from minigpt.errors import MinigptError
from minigpt.exercises import Stopped
from minigpt.messages import MOST_BYTES, Kept, dump, unpack, write_message

ROOT = Path(__file__).resolve().parent.parent
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")
PATIENCE = 6  # on a busy machine a second of work may take so many
ENDED = "your code ended its process (os._exit, a crash, or too much memory)"


@dataclass(frozen=True)
class Limits:
    """What a reader's code may take.

    Attributes:
        seconds: of work, for each cell and each exercise.
        memory: bytes, besides what Python and PyTorch take themselves.
        processes: at once.
        file_bytes: of one file.
        open_files: at once.
    """

    seconds: float = 10.0
    memory: int = 1 << 31
    processes: int = 32
    file_bytes: int = 1 << 24
    open_files: int = 256


class Sandbox:
    """A process for one reader's code.

    Args:
        limits: what it may take.
    """

    def __init__(self, limits: Limits = Limits()):
        self.limits, self.seconds = limits, 60.0
        self.begun, self.worked = time.monotonic(), 0.0
        self.folder = tempfile.TemporaryDirectory()
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*walls(), sys.executable, "-m", "minigpt.sandboxed", json.dumps(asdict(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=None if walls() else self.folder.name,
            env=environment | {"MPLBACKEND": "Agg", "PYTHONUTF8": "1"},
            start_new_session=True,
        )

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: Any) -> None:
        self.end()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what was never sent
                pipe.close()
        self.folder.cleanup()

    def end(self) -> None:
        """End the process, and all that it has started."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def family(self) -> list[psutil.Process]:
        """All processes of it, the one that was started first last."""
        try:
            first = psutil.Process(self.process.pid)
            return [*first.children(recursive=True), first]
        except psutil.NoSuchProcess:
            return []

    # Questions and answers ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def time_limit(self, seconds: float | None = None) -> Iterator[None]:
        """All that is asked inside the block may take so many seconds of work (and a few times that by the clock)."""
        self.seconds = seconds or self.limits.seconds
        self.begun, self.worked = time.monotonic(), self.work()
        yield

    def work(self) -> float:
        """Seconds that the processor has worked for it."""
        seconds = 0.0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                seconds += sum(process.cpu_times()[:2])
        return seconds

    def watch(self) -> None:
        """End it if it takes too much."""
        late = time.monotonic() - self.begun > PATIENCE * self.seconds
        if late or self.work() - self.worked > self.seconds:
            self.stop(f"it took longer than {self.seconds:g} seconds (an endless loop?)")
        if len(self.family()) > self.limits.processes:
            self.stop(f"it started more than {self.limits.processes} processes")

    def ask(self, what: str, *arguments: Any) -> Any:
        """Ask for something, and call what is to be called meanwhile.

        Raises:
            Stopped: the process has ended, or was ended because it took too much.
            Exception: the reader's code raised one.
        """
        message, sent = dump((what, *arguments))
        self.inputs = [tensor for tensor in sent.tensors if tensor.requires_grad]
        answer = self.exchange(message)
        while isinstance(answer, dict) and "call" in answer:
            try:
                result = None, sent.functions[answer["call"]](*answer["arguments"], **answer["named"])
            except Exception as error:
                result = error, None
            answer = self.exchange(dump(result)[0])
        if isinstance(answer, dict) and "raised" in answer:
            raise error_of(answer)
        if answer is True and what != "leave":
            self.branched = False
            raise Stopped(ENDED)
        if what == "call":
            write_back(answer, sent.tensors, sent.arrays, [*arguments[1], *arguments[2].values()])
            return answer["result"]
        return answer

    def exchange(self, message: bytes) -> Any:
        """Send a message, and wait for the answer."""
        try:
            write_message(self.process.stdin, message)
        except OSError:
            self.stop(ENDED)
        length = int.from_bytes(self.read(8), "little")
        if length > MOST_BYTES:
            self.stop(f"the result is too large: {length:,} bytes")
        try:
            return unpack(self.read(length), self.stand_in)
        except ValueError:
            self.stop("what came back from your code's process was no message")

    def read(self, length: int) -> bytes:
        """So many bytes, in time."""
        data, pipe, watched = bytearray(), self.process.stdout.fileno(), time.monotonic()
        while len(data) < length:
            if time.monotonic() > watched + 0.05:
                self.watch()
                watched = time.monotonic()
            if not select([pipe], [], [], 0.05)[0]:
                continue
            piece = os.read(pipe, length - len(data))
            if not piece:
                self.stop(ENDED)
            data += piece
        return bytes(data)

    def stop(self, reason: str) -> None:
        """End the process for a reason."""
        self.end()
        raise Stopped(reason)

    # Stand-ins ------------------------------------------------------------------------------------------------------

    def run(self, source: str) -> list[str]:
        """Run a cell; the names that are defined after it."""
        return self.ask("run", source)

    def look(self, name: str) -> Any:
        """A stand-in for something that a cell defined."""
        return self.stand_in(self.ask("look", name), None)

    def call(self, function: Any, *arguments: Any, **named: Any) -> Any:
        """Call a function in there: a stand-in, or any that can be imported."""
        return self.ask("call", function, list(arguments), named)

    @contextlib.contextmanager
    def branch(self) -> Iterator[None]:
        """Whatever happens inside the block, even an end of the process, is undone after it."""
        self.branched = not self.ask("branch")
        try:
            yield
        finally:
            if self.branched and self.process.poll() is None:
                self.ask("leave")

    def stand_in(self, kept: Any, value: Tensor | None) -> Any:
        """What stands here for an object in there: for a tensor its value, with a gradient that flows back."""
        number, names = kept
        if value is not None:
            anchor = torch.zeros((), requires_grad=True)  # so that there is a gradient even without inputs
            return Bridge.apply(self, number, value, anchor, *self.inputs)
        kind = type(names[0].rpartition(":")[2], (StandIn,), {})  # so that messages name the class in there
        return kind(self, number, names)


class StandIn(Kept):
    """An object in the sandbox, as it is seen from here: each use of it is asked for there."""

    def __init__(self, sandbox: Sandbox, number: int, names: Sequence[str]):
        super().__init__(number)
        self._sandbox, self._names = sandbox, names

    @property
    def __class__(self) -> type:
        return known_class(self._names) or StandIn

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._sandbox.call(getattr, self, name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._sandbox.call(self, *arguments, **named)

    def __getitem__(self, key: Any) -> Any:
        return self._sandbox.call(item, self, key)

    def __len__(self) -> int:
        return self._sandbox.call(len, self)

    def __iter__(self) -> Any:
        return self._sandbox.call(iter, self)

    def __next__(self) -> Any:
        return self._sandbox.call(next, self)

    def __repr__(self) -> str:
        return self._sandbox.call(repr, self)


def item(values: Any, key: Any) -> Any:
    """values[key]."""
    return values[key]


def known_class(names: Sequence[str]) -> type | None:
    """The first of some classes that is also known here."""
    for module, _, name in (name.partition(":") for name in names):
        found = getattr(sys.modules.get(module), name, None) if module != "__main__" else None
        if isinstance(found, type) and found is not object:
            return found
    return None


class Bridge(torch.autograd.Function):
    """Lets gradients flow into the sandbox and out again."""

    @staticmethod
    def forward(context: Any, sandbox: Sandbox, number: int, value: Tensor, *inputs: Tensor) -> Tensor:
        context.sandbox, context.number, context.inputs = sandbox, number, inputs
        return value

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradients = context.sandbox.ask("backward", context.number, gradient)
        return None, None, None, None, *gradients


def error_of(answer: dict[str, Any]) -> Exception:
    """The error that the reader's code raised: of its own class if that is a built-in one."""
    name, words = str(answer["raised"]), str(answer["words"])
    known = MinigptError if name == "MinigptError" else getattr(builtins, name, None)
    if not (isinstance(known, type) and issubclass(known, Exception)):
        known = type(name, (Exception,), {})
    return known(words) if words else known()


def write_back(answer: dict[str, Any], tensors: list[Tensor], arrays: list[np.ndarray], places: list[Any]) -> None:
    """Let changes that a call made to its arguments be seen here."""
    for tensor, value in zip(tensors, answer["tensors"], strict=True):
        if value is not None:
            tensor.data = value
    for array, value in zip(arrays, answer["arrays"], strict=True):
        if value is not None:
            array[...] = value
    for place, value in zip(places, answer["places"], strict=True):
        if value is None:
            continue
        if isinstance(place, list):
            place[:] = value
        elif isinstance(place, dict | set):
            place.clear()
            place.update(value)
        elif isinstance(place, np.random.Generator):
            place.bit_generator.state = value
        elif isinstance(place, torch.Generator):
            place.set_state(value)
        else:
            vars(place).update(value)
    for tensor, gradient in zip(tensors, answer["gradients"], strict=True):
        if gradient is not None:
            if tensor.is_leaf:
                tensor.grad = gradient if tensor.grad is None else tensor.grad + gradient
            else:
                tensor.backward(gradient, retain_graph=True)


# The walls ----------------------------------------------------------------------------------------------------------


@lru_cache
def walls() -> tuple[str, ...]:
    """The command that shuts a process in, or nothing where there is none."""
    program = shutil.which("bwrap")
    if not program:
        return ()
    seen = {*SYSTEM, sys.prefix, sys.base_prefix, *(str(ROOT / name) for name in ("minigpt", "data"))}
    command = [program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for path in sorted(seen):
        command += ["--ro-bind-try", path, path]
    command += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    command += ["--tmpfs", str(ROOT / "notebooks"), "--chdir", str(ROOT / "notebooks"), "--"]
    works = subprocess.run([*command, sys.executable, "-c", ""], capture_output=True).returncode == 0
    return tuple(command) if works else ()


def missing_protection() -> str:
    """What nobody enforces on this machine, in words; empty where all is."""
    if walls():
        return ""
    return (
        "bubblewrap (bwrap) is missing or does not work here, so the code that is graded can use the network and read"
        " and write your files: install it (on Debian or Ubuntu: sudo apt install bubblewrap), or grade in a container"
    )
