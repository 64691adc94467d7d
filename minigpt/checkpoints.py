"""Checkpoints: tensors in safetensors with JSON beside them in the header, never pickle; whole, or not there.

A checkpoint holds everything that training needs to go on as if nothing had happened. Each is written beside its place
and renamed into it, and carries a checksum, so a damaged one is noticed; the newest good one is found by itself.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from minigpt.errors import MinigptError
from minigpt.files import replacing

FORMAT = "minigpt 1"
KEPT = 2  # the last one, and one before it in case that is damaged


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write a checkpoint, and remove those that are too old.

    Args:
        folder: the run's folder.
        step: how many steps have been taken.
        tensors: weights and optimiser state, by name.
        facts: whatever else is needed, as JSON can hold it.

    Raises:
        MinigptError: it cannot be written; checkpoints written before stay.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": FORMAT, "facts": json.dumps({**facts, "step": step}), "sha256": _checksum(tensors)}
    path = folder / f"checkpoint-{step:07d}.safetensors"
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, header)
        except SafetensorError as error:  # it wraps the operating system's error in one of its own
            raise OSError(_errno(error), str(error)) from error
    for old in checkpoints(folder)[KEPT:]:
        old.unlink()
    return path


def _errno(error: Exception) -> int | None:
    words = str(error).replace(")", " ").split("os error")
    return int(words[1].split()[0]) if len(words) > 1 else None


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    return sorted(folder.glob("checkpoint-*.safetensors"), reverse=True)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read one checkpoint: its tensors and facts.

    Raises:
        MinigptError: it is missing, damaged, or of another version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise MinigptError(
                    f"{path} is of another version ({header.get('format', 'not a minigpt checkpoint')}, this is"
                    f" {FORMAT}): train again, or use the version that wrote it"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except FileNotFoundError:
        raise MinigptError(
            f"there is no checkpoint {path}; train first with: minigpt train --out {path.parent}"
        ) from None
    except (SafetensorError, OSError) as error:
        raise MinigptError(f"{path} is damaged ({error}); remove it to go on from an older one") from None
    if _checksum(tensors) != header.get("sha256"):
        raise MinigptError(f"{path} is damaged (its checksum is wrong); remove it to go on from an older one")
    return tensors, json.loads(header["facts"])


def newest_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest good checkpoint of a run; None if it has none. Damaged ones are passed over with a warning.

    Raises:
        MinigptError: there are checkpoints, and none of them is good.
    """
    complaint = None
    for path in checkpoints(folder):
        try:
            return load_checkpoint(path)
        except MinigptError as error:
            complaint = complaint or error
            warnings.warn(str(error), stacklevel=2)
    if complaint:
        raise complaint
    return None


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    checksum = hashlib.sha256()
    for name in sorted(tensors):
        checksum.update(name.encode())
        checksum.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return checksum.hexdigest()


def flatten(prefix: str, state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of an optimiser's state, by name.

    >>> dict(flatten("adamw", {"state": {0: {"step": torch.tensor(3.0)}}}))
    {'adamw.0.step': tensor(3.)}
    """
    for index, values in state["state"].items():
        for key, value in values.items():
            yield f"{prefix}.{index}.{key}", torch.as_tensor(value)


def unflatten(prefix: str, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The inverse of `flatten`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        head, *rest = name.split(".")
        if head == prefix:
            state.setdefault(int(rest[0]), {})[rest[1]] = tensor
    return state
