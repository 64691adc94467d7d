"""The larger assignments: normal files that have run, whose stubs break nothing and whose solutions are right.

What the answers of learners look like is tried in `test_answers.py`, as for the chapters.
"""

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from minigpt.assignments import FOLDERS, SOLUTIONS, find_assignment

# By its path, since whether one test file can import another depends on how pytest is called.
COURSE = runpy.run_path(str(Path(__file__).with_name("test_course.py")))
RULES = ["cells_are_short", "cells_ran_once_from_top_to_bottom", "no_errors_are_stored", "no_cell_needs_the_network"]
has_tag = COURSE["has_tag"]

FOLDER = FOLDERS[1]
PATHS = sorted(FOLDER.glob("*.ipynb"))
TAGS = {"introduction", "imports", "exercise", "check"}
POINTS = {f"points-{n}" for n in range(1, 6)}
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


class Large(COURSE["Chapter"]):
    """A larger assignment, to which the rules for chapters apply that speak of cells."""

    def __init__(self, path: Path):
        super().__init__(path.stem.replace("A", "9"), path.read_text(encoding="utf-8"))
        self.name = path.stem


@each
@pytest.mark.parametrize("rule", RULES)
def test_an_assignment_keeps_the_rules_for_cells(rule, path):
    complaints = list(COURSE[rule](Large(path)))
    assert not complaints, "\n".join([f"assignments/{path.name}:", *complaints])


@each
def test_the_file_is_normal(path):
    notebook = Large(path)
    assert nbformat.writes(COURSE["normalise"](notebook.notebook)) + "\n" == notebook.text
    assert {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])} <= TAGS | POINTS


@each
def test_it_is_written_as_assignments_are(path):
    notebook = Large(path)
    assert re.fullmatch(rf"# {path.stem[:2]} · \S.*", notebook.prose[0].split("\n")[0])
    assert notebook.prose[-1].startswith("## If you want more")
    assert any(source.startswith("## How it is graded") for source in notebook.prose)
    kinds = [tag for cell in notebook.code for tag in cell.metadata.get("tags", []) if tag in ("exercise", "check")]
    assert kinds == ["exercise", "check"] * 4
    for cell in notebook.code:
        assert has_tag(cell, "check") == has_tag(cell, *POINTS)
        assert has_tag(cell, "exercise") == ("raise NotImplementedError" in cell.source)


@each
def test_the_points_that_the_text_names_are_those_of_the_checks(path):
    assignment, text = find_assignment(path.stem), "\n".join(Large(path).prose)
    points = [int(exercise.points) for exercise in assignment.exercises]
    *first, last = map(str, points)
    assert f"{sum(points)} points: {', '.join(first)} and {last}" in text


def told(path: Path, between: str = "", old: str = "", new: str = "") -> Iterator[str]:
    """What the checks say when only the imports and the exercises have run; the arguments are those of `verdicts`."""
    cells = []
    for cell in Large(path).code:
        if has_tag(cell, "imports", "check"):
            cells.append(cell.source)
        elif has_tag(cell, "exercise"):
            cells += [cell.source.replace(old, new) if old else cell.source, between]
    done = subprocess.run(
        [sys.executable, "-"],
        input="\n\n".join(cells),
        cwd=FOLDER,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.split("\n") if line.startswith("Exercise ")]
    assert len(lines) == 4, done.stdout
    return iter(lines)


@each
def test_an_empty_stub_is_not_done_yet_and_breaks_nothing(path):
    assert [line for line in told(path) if "not done yet" not in line] == []


@each
def test_the_worked_solutions_are_right(path):
    solutions = (SOLUTIONS / path.with_suffix(".py").name).read_text(encoding="utf-8")
    stubs = {name for source in Large(path).tagged("exercise") for name in COURSE["definitions"](source)}
    assert stubs <= set(COURSE["definitions"](solutions))
    assert [line for line in told(path, between=solutions) if ": right." not in line] == []


@each
def test_a_body_that_does_nothing_is_not_right(path):
    lines = told(path, old="raise NotImplementedError", new="pass")
    assert [line for line in lines if ": not yet: " not in line] == []


def test_there_is_one_assignment_a_part():
    assert [path.stem[:2] for path in PATHS] == ["A1", "A2", "A3"]
