"""How long it takes to grade a class, and whether all its grades are right.

    python benchmarks/grading.py [--json FILE]

Each learner of chapter 03 hands in, for each exercise, one of the answers of `tests/answers/` or the empty stub.
"""

import argparse
import ast
import random
import sys
import tempfile
from pathlib import Path

import nbformat
from common import ROOT, circumstances, record, timed

from minigpt.assignments import find_assignment, notebook
from minigpt.grading import find_submissions, grade_class
from minigpt.sandbox import Limits, walls

sys.path.insert(0, str(ROOT / "tests"))
from test_answers import read_answers

NAME, STUDENTS, PROCESSES = "03_attention", 200, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    random.seed(0)
    assignment = find_assignment(NAME)
    answers = list(read_answers(ROOT / "tests" / "answers" / f"{NAME}.py", assignment))
    expected: dict[str, list[bool]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for student in range(STUDENTS):
            handed_in = notebook(assignment)
            chosen = [
                random.choice([a for a in answers if a.exercise == n] + [None])
                for n in range(len(assignment.exercises))
            ]
            for number, answer in enumerate(chosen):
                if answer is not None:
                    cell = next(cell for cell in handed_in.cells if cell.id == f"answer-{number + 1}")
                    cell.source = alone(answer.source, assignment.exercises[number].names, assignment)
            expected[f"s{student:03}"] = [answer is not None and answer.message is None for answer in chosen]
            nbformat.write(handed_in, Path(folder) / f"s{student:03}.ipynb")
        seconds, reports = timed(
            lambda: grade_class(find_submissions(Path(folder)), assignment, Limits(), seed=0, processes=PROCESSES)
        )
    wrong = sum(v.right != e for r in reports for v, e in zip(r.verdicts, expected[r.student], strict=True))
    grades = STUDENTS * len(assignment.exercises)
    print(f"{STUDENTS} submissions in {seconds / 60:.1f} minutes; {wrong} of {grades} grades are wrong")
    facts = {"submissions": STUDENTS, "seconds": seconds, "grades": grades, "wrong": wrong, "walls": bool(walls())}
    record(arguments.json, assignment=NAME, processes=PROCESSES, **facts, **circumstances(["torch"]))


def alone(source: str, names: tuple[str, ...], assignment) -> str:
    """An answer without the solutions of other exercises that stand before it."""
    others = {name for exercise in assignment.exercises for name in exercise.names} - set(names)
    return ast.unparse(
        ast.Module([node for node in ast.parse(source).body if getattr(node, "name", "") not in others], [])
    )


if __name__ == "__main__":
    main()
