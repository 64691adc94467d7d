"""Assignments: the exercises of a notebook, as they are handed out, solved and checked.

An exercise is written once, in a notebook: a prompt, a stub (tagged `exercise`) and a check (tagged `check`, and
`points-3` for its worth); its worked solution stands in `tests/solutions/`. Everything else is made from these (and
from text before them that is tagged `introduction`): the learner's notebook, the solved one, and what nbgrader and
otter-grader need.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from minigpt.errors import MinigptError, unknown_name
from minigpt.files import replacing

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
FOLDERS = (ROOT / "notebooks", ROOT / "assignments")
SOLUTIONS = ROOT / "tests" / "solutions"
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
        introduction: what there is to know before the first exercise, as Markdown.
        setup: what must have run before any exercise: the imports of the notebook, and what it promoted.
        exercises: in order.
    """

    name: str
    title: str
    introduction: str
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
    tags = ("introduction", "imports", "promoted")
    tagged = {tag: [cell.source for cell in cells if tag in tags_of(cell)] for tag in tags}
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
    heading, title = re.match(r"#* *(.*)\n*", cells[0].source).group(0, 1)
    introduction = "\n\n".join(tagged["introduction"]).removeprefix(heading)
    return Assignment(path.stem, title, introduction, setup, tuple(exercises))


def tags_of(cell: NotebookNode) -> Sequence[str]:
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


def find_assignment(name: str) -> Assignment:
    """An assignment by the beginning of its name, such as "03".

    Raises:
        MinigptError: there is none, or more than one; or this is not a clone of the course.
    """
    paths = {path.stem: path for folder in FOLDERS for path in sorted(folder.glob("*.ipynb"))}
    if not paths:
        raise MinigptError(f"there are no notebooks in {FOLDERS[0]}: run this in a clone of the course")
    found = [stem for stem in paths if stem.startswith(name)]
    if len(found) != 1 and name not in paths:
        raise unknown_name("assignment", name, paths)
    return read_assignment(paths[name if name in paths else found[0]])


# Handing out --------------------------------------------------------------------------------------------------------

NBGRADER = """# Settings of nbgrader for this folder: `nbgrader generate_assignment NAME` makes the learner's notebook.
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "minigpt"
c.ClearSolutions.code_stub = {"python": ""}  # the stub stands before the solution
"""

OTTER = """OK_FORMAT = False

from otter.test_files import test_case

from minigpt.exercises import confirm

name = {title!r}
points = {points}

CHECK = {check!r}


@test_case(points={points})
def test(env):
    confirm(CHECK, env)
"""


def hand_out(assignment: Assignment, folder: Path) -> list[Path]:
    """Write what an instructor needs: the learner's notebook, the solved one, and the checks for other graders.

    Args:
        assignment: what to hand out.
        folder: where to.

    Returns:
        the learner's notebook; the solved one, which is also nbgrader's source; otter-grader's tests.
    """
    name = assignment.name
    solutions = (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")
    learners, solved = folder / "handout" / f"{name}.ipynb", folder / "source" / name / f"{name}.ipynb"
    write(notebook(assignment), learners)
    write(notebook(assignment, solutions), solved)
    with replacing(folder / "nbgrader_config.py") as temporary:
        temporary.write_text(NBGRADER, encoding="utf-8")
    tests = folder / "otter" / name / "tests"
    for number, exercise in enumerate(assignment.exercises, 1):
        with replacing(tests / f"q{number}.py") as temporary:
            text = OTTER.format(title=exercise.title, points=exercise.points, check=exercise.check)
            temporary.write_text(text, encoding="utf-8")
    return [learners, solved, tests]


def notebook(assignment: Assignment, solutions: str | None = None) -> NotebookNode:
    """The learner's notebook, or with solutions the solved one."""
    told = "Fill in the cells that raise `NotImplementedError`, and run the check after each. Change nothing else."
    text = "\n\n".join(part for part in (f"# {assignment.title}", assignment.introduction, told) if part)
    cells = [new_markdown_cell(text, id="title")]
    cells.append(locked(new_code_cell(assignment.setup, id="setup"), "setup"))
    for number, exercise in enumerate(assignment.exercises, 1):
        worth = f"{exercise.points:g} point{'s' * (exercise.points != 1)}"
        cells.append(new_markdown_cell(f"{exercise.prompt}\n\n*{worth}*", id=f"prompt-{number}"))
        solution = (
            f"\n\n\n### BEGIN SOLUTION\n{solution_of(exercise, assignment, solutions)}\n### END SOLUTION"
            if solutions
            else ""
        )
        answer = exercise.stub + solution
        cells.append(new_code_cell(answer, id=f"answer-{number}"))
        cells[-1].metadata.nbgrader = facts(f"answer-{number}", solution=True)
        check = re.sub(r"^(with check\(.*\)):$", r"\1 as verdict:", exercise.check, count=1, flags=re.MULTILINE)
        cells.append(new_code_cell(f"{check}\nverdict.points({exercise.points:g})", id=f"check-{number}"))
        cells[-1].metadata.nbgrader = facts(f"check-{number}", grade=True, locked=True, points=exercise.points)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "minigpt": {"assignment": assignment.name}})


def solution_of(exercise: Exercise, assignment: Assignment, solutions: str) -> str:
    """The worked solution of one exercise, behind what all solutions share."""
    others = {name for one in assignment.exercises if one is not exercise for name in one.names}
    lines, last = solutions.split("\n"), 0
    parts = []
    for node in ast.parse(solutions).body:
        if getattr(node, "name", None) not in others:
            parts.append("\n".join(lines[last : node.end_lineno]).strip("\n"))
        last = node.end_lineno
    return "\n\n\n".join(parts)


def locked(cell: NotebookNode, name: str) -> NotebookNode:
    """A cell that nbgrader puts back when a learner has changed it."""
    cell.metadata.nbgrader = facts(name, locked=True)
    return cell


def facts(name: str, **others: bool | float) -> NotebookNode:
    """What nbgrader wants to know of a cell."""
    return nbformat.from_dict(
        {
            "grade_id": name,
            "grade": False,
            "solution": False,
            "locked": False,
            "task": False,
            "schema_version": 3,
            **others,
        }
    )


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    with replacing(path) as temporary:
        nbformat.write(notebook, temporary)
