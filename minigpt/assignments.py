"""Assignments: the exercises of a notebook, as they are handed out, solved and checked.

An exercise is written once, in its notebook: a prompt, a stub (tagged `exercise`) and a check (tagged `check`, and
`points-3` for its worth). Everything else is made from these: the learner's notebook, the solved one, and what graders
need.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nbformat

from minigpt.errors import MinigptError

PACKAGE = Path(__file__).resolve().parent
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        title: as its check prints it, such as "1: a mask that keeps the future out".
        prompt: what to do, as Markdown.
        stub: the cell to fill in.
        check: the cell that says how far the answer has come.
        points: what it is worth.
    """

    title: str
    prompt: str
    stub: str
    check: str
    points: float

    @property
    def names(self) -> tuple[str, ...]:
        """The functions and classes that an answer must define."""
        return tuple(node.name for node in ast.parse(self.stub).body if isinstance(node, DEFINITIONS))


@dataclass(frozen=True)
class Assignment:
    """The exercises of a notebook.

    Attributes:
        name: of the notebook's file, such as "03_attention".
        title: its first line.
        setup: what must have run before any exercise: the imports of the notebook, and what it promoted.
        exercises: in order.
    """

    name: str
    title: str
    setup: str
    exercises: tuple[Exercise, ...]


def read_assignment(path: str | Path) -> Assignment:
    """The exercises of a notebook.

    Raises:
        MinigptError: it cannot be read, or has no exercise.
    """
    path = Path(path)
    try:
        cells = nbformat.read(path, as_version=4).cells
    except (OSError, ValueError) as error:
        raise MinigptError(f"{path} is no notebook ({error}): name one with exercises") from None
    tagged = {tag: [cell.source for cell in cells if tag in tags_of(cell)] for tag in ("imports", "promoted")}
    setup = "\n".join([*tagged["imports"], *imports_instead(tagged["promoted"])])
    exercises, prompt, stub = [], "", ""
    for cell in cells:
        tags = tags_of(cell)
        if cell.cell_type == "markdown":
            prompt = re.sub(r"^## .*\n+", "", cell.source)  # without the heading of the section
        elif "exercise" in tags:
            stub = cell.source
        elif "check" in tags:
            points = next((float(tag.removeprefix("points-")) for tag in tags if tag.startswith("points-")), 1.0)
            exercises.append(Exercise(title_of(cell.source), prompt, stub, cell.source, points))
    if not exercises:
        raise MinigptError(f"{path} has no exercises: no cell is tagged as a check")
    return Assignment(path.stem, cells[0].source.split("\n")[0].lstrip("# "), setup, tuple(exercises))


def tags_of(cell: nbformat.NotebookNode) -> Sequence[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def title_of(check: str) -> str:
    """The title that a check prints."""
    calls = [node for node in ast.walk(ast.parse(check)) if isinstance(node, ast.Call)]
    return next(call.args[0].value for call in calls if isinstance(call.func, ast.Name) and call.func.id == "check")


def imports_instead(promoted: Sequence[str]) -> Iterator[str]:
    """Lines that import from the package what promoted cells define."""
    for cell in promoted:
        for name, tree in definitions(cell):
            yield next((f"from minigpt.{module} import {name}" for module in package().get((name, tree), [])), "")


@lru_cache
def package() -> dict[tuple[str, str], list[str]]:
    """Which modules of the package have a definition: by its name and syntax tree."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(PACKAGE.glob("*.py")):
        for definition in definitions(path.read_text(encoding="utf-8")):
            found.setdefault(definition, []).append(path.stem)
    return found


def definitions(source: str) -> Iterator[tuple[str, str]]:
    """Name and syntax tree of each function, class and constant that a module or cell defines."""
    for node in ast.parse(source).body:
        if isinstance(node, DEFINITIONS):
            yield node.name, ast.dump(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield ast.unparse(target), ast.dump(node)
