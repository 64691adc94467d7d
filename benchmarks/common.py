"""What the benchmarks share: the machine, the clock, and the text."""

import os
import platform
import pydoc_data.topics
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from minigpt.files import write_json

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def read_text() -> tuple[str, str]:
    """A text of about 1 MB, its name first."""
    path = SHARED / "corpora" / "tinyshakespeare.txt"
    if path.exists():
        return "Tiny Shakespeare", path.read_text(encoding="utf-8")
    return "pydoc topics", "\n".join(pydoc_data.topics.topics.values())


def timed(work: Callable) -> tuple[float, Any]:
    """How long it took, in seconds, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def best_of_turns(makers: dict[str, Callable], turns: int) -> dict[str, tuple[float, Any]]:
    """For each library its best time in seconds, and its result.

    They take turns, so that what slows the machine down for a while slows all of them.

    Args:
        makers: by library, what prepares, untimed, the work that is timed.
        turns: how many each has.
    """
    best: dict[str, tuple[float, Any]] = {}
    for _ in range(turns):
        for library, make in makers.items():
            seconds, result = timed(make())
            if library not in best or seconds < best[library][0]:
                best[library] = seconds, result
    return best


def processor() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def circumstances(libraries: Iterable[str]) -> dict[str, Any]:
    """The machine and the versions that figures belong to; printed, too."""
    machine = {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform()}
    versions = {"python": platform.python_version()} | {library: version(library) for library in libraries}
    print(f"{machine['processor']}, {machine['cores']} cores")
    print(", ".join(f"{library} {number}" for library, number in versions.items()))
    return {"machine": machine, "versions": versions}


def record(path: Path | None, **results: Any) -> None:
    """Write results as JSON, if there is a path."""
    if path:
        write_json(path, results)
