"""The inside of the sandbox: the process that runs a reader's code, and does what the check outside asks of it.

`minigpt.sandbox` starts it. Its answers are data (`minigpt.messages`), and nobody outside relies on their truth: a
check judges what comes out of the reader's functions, here as in a notebook.
"""

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from minigpt.messages import Receiver, pack, write_message


class Inside:
    """What runs in the sandbox: a namespace, as a notebook has one, and the objects that stay here.

    Args:
        requests, answers: the pipes.
    """

    def __init__(self, requests: BinaryIO, answers: BinaryIO):
        self.requests, self.answers = requests, answers
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.objects: list[Any] = []
        self.inputs: list[Tensor] = []  # of the last call, those that want a gradient
        self.inputs_of: dict[int, list[Tensor]] = {}  # of the call that gave a tensor, by the tensor's number

    def serve(self) -> None:
        """Do what is asked, one thing after the other, until nobody asks any more."""
        while True:
            try:
                what, *arguments = self.receive()
                answer = self.pack(getattr(self, what)(*arguments))
            except BaseException as error:  # whatever the reader's code raises, SystemExit too, is told outside
                answer = self.pack({"raised": type(error).__name__, "words": words_of(error)})
            write_message(self.answers, answer)

    def receive(self) -> Any:
        """The next request."""
        length = self.requests.read(8)
        if len(length) < 8:
            os._exit(0)
        self.receiver = Receiver(
            self.requests.read(int.from_bytes(length, "little")), self.objects.__getitem__, self.call_back
        )
        return self.receiver.load()

    def pack(self, value: Any) -> bytes:
        """A value as a message; what is no data stays here."""
        return pack(value, self.keep)

    def keep(self, value: Any) -> list[Any]:
        """Keep an object: its number, and the classes that it says it is of."""
        number = next((n for n, other in enumerate(self.objects) if other is value), len(self.objects))
        if number == len(self.objects):
            self.objects.append(value)
            self.inputs_of[number] = self.inputs
        return [number, [f"{kind.__module__}:{kind.__qualname__}" for kind in type(value).__mro__[:-1]]]

    # What can be asked ----------------------------------------------------------------------------------------------

    def run(self, source: str) -> list[str]:
        """Run a cell; the names that there are now."""
        exec(compile(source, "the notebook", "exec"), self.namespace)
        return sorted(name for name in self.namespace if not name.startswith("__"))

    def look(self, name: str) -> list[Any]:
        """Something of the namespace, which stays here."""
        return self.keep(self.namespace[name])

    def call(self, function: Callable, arguments: list, named: dict) -> dict[str, Any]:
        """Call a function: its result, and what it changed in its arguments."""
        tensors, arrays, places = self.receiver.tensors, self.receiver.arrays, [*arguments, *named.values()]
        self.inputs = [tensor for tensor in tensors if tensor.requires_grad]
        before = [tensor.detach().clone() for tensor in tensors], [array.copy() for array in arrays]
        packed = [self.pack(contents(place)) for place in places]
        answer = {"result": function(*arguments, **named)}
        answer["tensors"] = changed([tensor.detach() for tensor in tensors], before[0])
        answer["gradients"] = [tensor.grad for tensor in tensors]
        answer["arrays"] = changed(arrays, before[1])
        answer["places"] = [
            None if self.pack(contents(place)) == old else contents(place)
            for place, old in zip(places, packed, strict=True)
        ]
        return answer

    def backward(self, number: int, gradient: Tensor) -> list[Tensor | None]:
        """Gradients of what a call was given, from that of what it gave; those of the reader's own weights add up."""
        inputs = self.inputs_of[number]
        for tensor in inputs:
            tensor.grad = None
        self.objects[number].backward(gradient, retain_graph=True)
        return [tensor.grad for tensor in inputs]

    def branch(self) -> bool:
        """Go on in a copy of this process; when it ends, however it does, this one is as it was."""
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return bool(child)

    def leave(self) -> None:
        """End a branch."""
        os._exit(0)

    def call_back(self, number: int, arguments: tuple, named: dict) -> Any:
        """Call a function of the check's."""
        receiver = self.receiver
        write_message(self.answers, self.pack({"call": number, "arguments": list(arguments), "named": named}))
        error, result = self.receive()
        self.receiver = receiver
        if error is not None:
            raise error
        return result


def changed(after: list[Any], before: list[Any]) -> list[Any]:
    """What is not as it was, of tensors or arrays; None for the rest."""
    same = torch.equal if after and isinstance(after[0], Tensor) else np.array_equal
    return [None if same(new, old) else new for new, old in zip(after, before, strict=True)]


def contents(place: Any) -> Any:
    """What a call can change in an argument, besides tensors and arrays."""
    if isinstance(place, list | dict | set):
        return place
    if isinstance(place, np.random.Generator):
        return place.bit_generator.state
    if isinstance(place, torch.Generator):
        return place.get_state()
    return {
        name: value for name, value in getattr(place, "__dict__", {}).items() if isinstance(value, int | float | str)
    }


def words_of(error: BaseException) -> str:
    """The message of an error, which may be of a class of the reader's own."""
    try:
        return str(error)[:2000]
    except BaseException:
        return ""


def main() -> None:
    """Take the pipes away from the reader's code, limit what it can take, and serve."""
    limits = json.loads(sys.argv[1])
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    torch.set_num_threads(1)
    for name, most in {"FSIZE": limits["file_bytes"], "NOFILE": limits["open_files"], "CORE": 0}.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    in_use = Path("/proc/self/statm")
    if in_use.exists():
        most = int(in_use.read_text().split()[0]) * resource.getpagesize() + limits["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    Inside(requests, answers).serve()


if __name__ == "__main__":
    main()
