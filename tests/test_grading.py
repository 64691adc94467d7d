"""Grading: right points for right answers, whatever else a notebook holds, and a class that no one can spoil."""

import csv
import json
from dataclasses import replace

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook

from minigpt.assignments import Assignment, Exercise, find_assignment, notebook
from minigpt.cli import main
from minigpt.errors import MinigptError
from minigpt.exercises import Verdict
from minigpt.grading import (
    Report,
    Submission,
    find_submissions,
    grade,
    grade_class,
    guarded,
    which_assignment,
    write_feedback,
    write_grades,
    write_leaderboard,
)
from minigpt.sandbox import Limits

DOUBLE = Exercise(
    "1: double",
    "Double `x`.",
    "def double(x):\n    raise NotImplementedError",
    'with check("1: double"):\n    x = torch.randn(3)\n    assert torch.equal(double(x), 2 * x), "not twice x"',
    2,
)
SQUARE = Exercise(
    "2: square",
    "Square `x`.",
    "def square(x):\n    raise NotImplementedError",
    'with check("2: square"):\n    for x in (1, 5):\n        assert square(x) == x * x, f"{x}² is {x * x}"',
    1,
)
TASK = Assignment("99_small", "99 · Small", "", "import torch\nfrom minigpt.exercises import check", (DOUBLE, SQUARE))
RIGHT = "def double(x):\n    return 2 * x", "def square(x):\n    return x ** 2"
LIMITS = Limits(seconds=1)


@pytest.fixture
def graded(tmp_path):
    """Grade a notebook of some cells, or of some text."""

    def grade_it(*cells: str, text: str | None = None) -> Report:
        path = tmp_path / "ada.ipynb"
        path.write_text(text or nbformat.writes(new_notebook(cells=[new_code_cell(cell) for cell in cells])))
        return grade(Submission("ada", (path,)), TASK, LIMITS, seed=0)

    return grade_it


def points(report: Report) -> list[float]:
    return [verdict.points(1) for verdict in report.verdicts]


def test_right_answers_get_their_points(graded):
    report = graded(*RIGHT)
    assert points(report) == [1, 1]
    assert report.remarks == []


def test_the_hand_out_itself_gets_none_and_its_solution_all(tmp_path):
    for solutions, expected in ((None, [0, 0]), ("\n\n".join(RIGHT) + "\n", [1, 1])):
        path = tmp_path / "ada.ipynb"
        nbformat.write(notebook(TASK, solutions), path)
        report = grade(Submission("ada", (path,)), TASK, LIMITS, seed=0)
        assert points(report) == expected
        assert report.remarks == []


def test_a_wrong_answer_is_told_why_and_with_which_seed(graded):
    report = graded("def double(x):\n    return x", RIGHT[1])
    assert points(report) == [0, 1]
    assert report.verdicts[0].words == "not yet: not twice x [seed 0]"


def test_grading_twice_gives_the_same(graded):
    cells = ("import random\n\ndef double(x):\n    return 2 * x + (x > 0.5)", RIGHT[1])
    assert [str(verdict) for verdict in graded(*cells).verdicts] == [
        str(verdict) for verdict in graded(*cells).verdicts
    ]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("def doubel(x):\n    return 2 * x", "it defines doubel: call it double"),
        ("x = 3", "defines no double: was the cell deleted"),
        ("def double(x):\n    return 2 * x\nraise SystemExit", "right."),
        ("def double(x):\n  return (", "defines no double"),
        ("def double(x):\n    while True:\n        pass", "longer than 1 seconds"),
        ("import os\n\ndef double(x):\n    os._exit(0)", "ended its process"),
        ("import sys\n\ndef double(x):\n    sys.exit()", "a SystemExit"),
        ("import torch\ntorch.equal = lambda *a: True\n\ndef double(x):\n    return x", "not twice x"),
        ("import minigpt.exercises as e\ne.check = None\ncheck = None\n\ndef double(x):\n    return x", "not twice x"),
        (
            "class Same:\n    def __eq__(self, other):\n        raise SystemExit\n\ndef double(x):\n    return Same()",
            "not yet",
        ),
        ("%matplotlib inline\n!rm -rf /\ndef double(x):\n    return 2 * x", "right."),
    ],
)
def test_one_answer_does_not_touch_the_next(graded, cell, told):
    report = graded(cell, RIGHT[1])
    assert told in report.verdicts[0].words
    assert points(report) == [told == "right.", 1]


@pytest.mark.parametrize("cell", ["while True:\n    pass", "import os\nos._exit(1)", "1 / 0", "undefined", "def (:"])
def test_a_cell_that_fails_is_left_out_and_said(graded, cell):
    report = graded(RIGHT[0], cell, RIGHT[1])
    assert points(report) == [1, 1]
    (remark,) = report.remarks
    assert remark.startswith("cell 2 ")


def test_cells_that_never_end_do_not_take_up_the_others_time(graded, monkeypatch):
    monkeypatch.setattr("minigpt.grading.CELLS_LIMIT", 2)
    report = graded(RIGHT[0], *["while True:\n    pass"] * 50, RIGHT[1])
    assert points(report) == [1, 0]
    assert len(report.remarks) == 51
    assert report.remarks[0].endswith("longer than 1 seconds (an endless loop?)")
    assert report.remarks[-1] == "cell 52 was left out: those before it took too long"


def test_an_assignment_whose_own_cells_never_end_is_not_begun_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr("minigpt.grading.SETUP_SECONDS", 2)
    path = tmp_path / "ada.ipynb"
    nbformat.write(notebook(TASK, "\n\n".join(RIGHT)), path)
    endless = replace(TASK, setup="while True:\n    pass")
    report = grade(Submission("ada", (path,)), endless, LIMITS, seed=0)
    assert points(report) == [0, 0]
    (remark,) = report.remarks
    assert "fewer --processes" in remark


def test_cells_in_the_wrong_order_are_run_again(graded):
    report = graded("two = one + one\n\ndef double(x):\n    return two * x", "one = 1", RIGHT[1])
    assert points(report) == [1, 1]
    assert report.remarks == []


def test_an_answer_cannot_lean_on_what_another_left(graded):
    report = graded(
        "seen = []\n\ndef double(x):\n    seen.append(1)\n    return 2 * x", "def square(x):\n    return len(seen)"
    )
    assert points(report) == [1, 0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[]", "no list of cells"),
        ('{"cells": 3}', "no list of cells"),
        ("[" * 100_000, "not JSON"),
        ("\x00\x01", "not JSON"),
    ],
)
def test_what_is_no_notebook_gets_a_sentence(graded, text, told):
    report = graded(text=text)
    assert points(report) == [0, 0]
    assert told in report.remarks[0]


def test_cells_of_odd_shapes_are_passed_over(graded):
    cells = [3, {"cell_type": "code"}, {"cell_type": "code", "source": 5}]
    cells += [{"cell_type": "code", "source": [line + "\n" for line in cell.split("\n")]} for cell in RIGHT]
    assert points(graded(text=json.dumps({"cells": cells}))) == [1, 1]


def test_who_handed_in_nothing_or_too_much_is_told(tmp_path):
    assert grade(Submission("ada", ()), TASK, LIMITS, 0).remarks == ["no notebook was handed in"]
    paths = tmp_path / "a.ipynb", tmp_path / "b.ipynb"
    assert "several notebooks (a.ipynb, b.ipynb)" in grade(Submission("ada", paths), TASK, LIMITS, 0).remarks[0]


def test_submissions_are_found_in_files_and_folders(tmp_path):
    for name in ("ada.ipynb", "bob/x.ipynb", "cy/deep/x.ipynb", "cy/.ipynb_checkpoints/x.ipynb", "dee/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert {s.student: len(s.paths) for s in find_submissions(tmp_path)} == {"ada": 1, "bob": 1, "cy": 1, "dee": 0}
    with pytest.raises(MinigptError, match="no notebooks"):
        find_submissions(tmp_path / "nowhere")


def test_the_assignment_is_what_most_notebooks_say(tmp_path):
    for student, cells in (("ada", "{"), ("bob", nbformat.writes(notebook(find_assignment("03"))))):
        (tmp_path / f"{student}.ipynb").write_text(cells)
    assert which_assignment(find_submissions(tmp_path)).name == "03_attention"
    (tmp_path / "bob.ipynb").unlink()
    with pytest.raises(MinigptError, match="--assignment"):
        which_assignment(find_submissions(tmp_path))


def reports() -> list[Report]:
    right = Verdict("1: double", True, "right.", {"bits": 0.25})
    return [
        Report(
            "=cmd()", [Verdict("1: double", False, "not yet: <b>"), Verdict("2: square", True, "right.")], ["a", "b"]
        ),
        Report("bob", [right, Verdict("2: square", True, "right.")]),
    ]


def test_the_table_has_a_row_for_each_learner_and_no_formulas(tmp_path):
    write_grades(tmp_path / "grades.csv", TASK, reports())
    first, second, third = csv.reader((tmp_path / "grades.csv").open(encoding="utf-8"))
    assert first == ["student", "1: double", "2: square", "points", "out of", "remarks"]
    assert second == ["'=cmd()", "0.0", "1", "1.0", "3", "a; b"]
    assert third[:5] == ["bob", "2", "1", "3", "3"]
    assert [guarded(cell) for cell in ("-1", "a", 3)] == ["'-1", "a", 3]


def test_the_leaderboard_has_right_answers_only(tmp_path):
    assert write_leaderboard(tmp_path / "board.csv", reports())
    assert (tmp_path / "board.csv").read_text().splitlines()[1:] == ["bob,1: double,bits,0.2500"]
    assert not write_leaderboard(tmp_path / "none.csv", [])


def test_the_page_of_feedback_says_what_failed_and_escapes_it(tmp_path):
    write_feedback(tmp_path, TASK, reports()[0])
    page = (tmp_path / "=cmd().html").read_text(encoding="utf-8")
    assert "not yet: &lt;b&gt;" in page
    assert "1 of 3 points" in page
    assert "Double `x`." in page


def test_a_class_is_graded_in_the_order_of_names(tmp_path):
    submissions = []
    for student, cells in {"bob": RIGHT, "ada": ("def double(x):\n    return x",)}.items():
        path = tmp_path / f"{student}.ipynb"
        nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
        submissions.append(Submission(student, (path,)))
    found = grade_class(submissions, TASK, LIMITS, seed=0, processes=1)
    assert [(report.student, points(report)) for report in found] == [("ada", [0, 0]), ("bob", [1, 1])]


def test_the_commands_make_a_hand_out_and_grade_it(tmp_path):
    runner = CliRunner()
    made = runner.invoke(main, ["assign", "03", "--out", str(tmp_path / "out")])
    assert made.exit_code == 0, made.output
    (tmp_path / "class" / "ada").mkdir(parents=True)
    solved = (tmp_path / "out" / "source" / "03_attention" / "03_attention.ipynb").read_text(encoding="utf-8")
    (tmp_path / "class" / "ada" / "03_attention.ipynb").write_text(solved, encoding="utf-8")
    done = runner.invoke(main, ["grade", str(tmp_path / "class"), "--out", str(tmp_path / "grades.csv")])
    assert done.exit_code == 0, done.output
    _, ada = csv.reader((tmp_path / "grades.csv").open(encoding="utf-8"))
    assert ada[-3] == ada[-2]
    assert (tmp_path / "grades_feedback" / "ada.html").exists()
