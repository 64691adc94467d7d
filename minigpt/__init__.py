"""minigpt: the tested package that the chapters of the course become."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`minigpt.load(folder)`, found when it is asked for, so that importing the package alone stays quick."""
    if name == "load":
        from minigpt.family import load

        return load
    raise AttributeError(f"module 'minigpt' has no attribute {name!r}")
