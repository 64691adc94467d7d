"""What crosses between a check and the process that runs a reader's code.

Towards that process go pickles, for it may trust the check. Back comes data alone, since nothing from there is to be
trusted: a tree of plain values as JSON, and its tensors as safetensors. What is no data stays there, and is named by a
number.
"""

import io
import json
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from functools import _lru_cache_wrapper, lru_cache
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

MOST_BYTES = 1 << 27
CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def pack(value: Any, keep: Callable[[Any], Any]) -> bytes:
    """A value as bytes.

    Args:
        value: numbers, strings, tensors, arrays, and containers of these.
        keep: takes whatever else there is, and gives plain values that name it; tensors with a gradient too.
    """
    tensors: dict[str, Tensor] = {}

    def add(tensor: Tensor) -> str:
        name = str(len(tensors))
        tensors[name] = tensor.detach().cpu().contiguous().clone()
        return name

    def tree(value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Tensor):
            return ["tensor", add(value), keep(value) if value.requires_grad else None]
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
            kind = "array" if isinstance(value, np.ndarray) else "number"
            return [kind, add(torch.from_numpy(np.array(value, order="C")))]
        if isinstance(value, np.ndarray):
            return ["text array", tree(value.tolist())]
        if isinstance(value, dict):
            return ["dict", [[tree(key), tree(item)] for key, item in value.items()]]
        for name, kind in CONTAINERS.items():
            if isinstance(value, kind):
                return [name, [tree(item) for item in value]]
        return ["kept", keep(value)]

    words = json.dumps(tree(value)).encode()
    return len(words).to_bytes(8, "little") + words + save(tensors)


def unpack(message: bytes, found: Callable[[Any, Tensor | None], Any]) -> Any:
    """The inverse of `pack`.

    Args:
        message: bytes, whoever wrote them.
        found: takes what `keep` gave for something, and its value if it is a tensor, and gives what stands for it.

    Raises:
        ValueError: the message is malformed.
    """

    def value(tree: Any) -> Any:
        if not isinstance(tree, list):
            return tree
        kind, content, *more = tree
        if kind == "tensor":
            return tensors[content] if more[0] is None else found(more[0], tensors[content])
        if kind in ("array", "number"):
            array = tensors[content].numpy()
            return array if kind == "array" else array[()]
        if kind == "text array":
            return np.array(value(content))
        if kind == "dict":
            return {value(key): value(item) for key, item in content}
        if kind in CONTAINERS:
            return CONTAINERS[kind](map(value, content))
        return found(content, None)

    try:
        end = 8 + int.from_bytes(message[:8], "little")
        tensors = load(message[end:])
        return value(json.loads(message[8:end]))
    except Exception as error:  # whatever is wrong with it
        raise ValueError(f"a malformed message: {error}") from None


def write_message(file: BinaryIO, message: bytes) -> None:
    """Send one message."""
    file.write(len(message).to_bytes(8, "little") + message)
    file.flush()


class Sender(pickle.Pickler):
    """Pickles what a check gives to a reader's function; tensors and arrays are listed, so that they can come back.

    Attributes:
        tensors, arrays: of this call, in the order in which they were met.
        functions: those that the other process calls back.
    """

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.tensors: list[Tensor] = []
        self.arrays: list[np.ndarray] = []
        self.functions: list[Callable] = []

    def persistent_id(self, value: Any) -> Any:
        """How to say what a pickle cannot, or not so that it comes back."""
        if issubclass(type(value), Kept):  # which may call itself an instance of anything
            return "kept", value.number
        if isinstance(value, Tensor):
            return "tensor", self.place(self.tensors, value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            return "array", self.place(self.arrays, value)
        if isinstance(value, Iterator):
            return "iterator", list(value)
        if isinstance(value, types.FunctionType | types.MethodType) and not has_address(value):
            return "function", self.place(self.functions, value)
        return None

    def reducer_override(self, value: Any) -> Any:
        """How to make again what pickle refuses: a method with a cache, which is sent empty."""
        if isinstance(value, _lru_cache_wrapper) and isinstance(value.__wrapped__, types.MethodType):
            method = value.__wrapped__
            return cached_method, (method.__self__, method.__name__, value.cache_parameters()["maxsize"])
        return NotImplemented

    def place(self, values: list, value: Any) -> int:
        """Where a value stands in a list; it is added if it is not there yet."""
        for number, other in enumerate(values):
            if other is value:
                return number
        values.append(value)
        return len(values) - 1


def cached_method(owner: Any, name: str, most: int | None) -> Callable:
    """A method with a cache of so many results."""
    return lru_cache(most)(getattr(owner, name))


class Kept:
    """Names an object that stayed in the other process."""

    def __init__(self, number: int):
        self.number = number


def has_address(function: Callable) -> bool:
    """Whether a function can be imported by its name."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return getattr(module, getattr(function, "__qualname__", ""), None) is function


def dump(request: Any) -> tuple[bytes, Sender]:
    """A request as bytes, and what was met in it."""
    body = io.BytesIO()
    sender = Sender(body)
    sender.dump(request)
    tensors = [(tensor.detach(), tensor.requires_grad, isinstance(tensor, nn.Parameter)) for tensor in sender.tensors]
    return pickle.dumps((tensors, sender.arrays, body.getvalue())), sender


class Receiver(pickle.Unpickler):
    """The other end of `dump`.

    Args:
        message: what `dump` made.
        kept: gives a kept object for its number.
        call_back: calls a function of the check, by its number.
    """

    def __init__(self, message: bytes, kept: Callable[[int], Any], call_back: Callable[..., Any]):
        tensors, self.arrays, body = pickle.loads(message)
        super().__init__(io.BytesIO(body))
        self.tensors = []
        for tensor, requires_grad, is_parameter in tensors:
            self.tensors.append(nn.Parameter(tensor, requires_grad) if is_parameter else tensor)
            self.tensors[-1].requires_grad_(requires_grad)
        self.kept, self.call_back = kept, call_back

    def persistent_load(self, what: tuple[str, Any]) -> Any:
        """What `Sender.persistent_id` named."""
        kind, content = what
        if kind == "tensor":
            return self.tensors[content]
        if kind == "array":
            return self.arrays[content]
        if kind == "kept":
            return self.kept(content)
        if kind == "iterator":
            return iter(content)
        return lambda *args, **kwargs: self.call_back(content, args, kwargs)
