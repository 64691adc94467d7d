"""Hand-outs: made of the notebooks alone, and what other graders expect."""

import ast
import runpy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from minigpt.assignments import FOLDERS, SOLUTIONS, find_assignment, hand_out, notebook, read_assignment, solution_of
from minigpt.errors import MinigptError
from minigpt.exercises import confirm

NAMES = sorted(path.stem for folder in FOLDERS for path in folder.glob("*.ipynb"))
SOURCE = [
    new_markdown_cell("# 99 · Small\n\nAbout doubling.", metadata={"tags": ["introduction"]}),
    new_code_cell("import math\n\nfrom minigpt.exercises import check", metadata={"tags": ["imports"]}),
    new_code_cell("x = 1 / 0  # what a chapter does between has no place in its assignment"),
    new_markdown_cell("## Your turn\n\n**1, a warm-up.** Double `x`."),
    new_code_cell("def double(x):\n    raise NotImplementedError", metadata={"tags": ["exercise"]}),
    new_code_cell(
        'with check("1: double"):\n    assert double(3) == 6, "not 6"', metadata={"tags": ["check", "points-2"]}
    ),
]


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "99_small.ipynb"
    nbformat.write(new_notebook(cells=SOURCE), path)
    return read_assignment(path)


def test_an_exercise_is_read_from_its_cells(small):
    (exercise,) = small.exercises
    assert (small.name, small.title) == ("99_small", "99 · Small")
    assert (exercise.title, exercise.points, exercise.names) == ("1: double", 2, ("double",))
    assert exercise.prompt == "**1, a warm-up.** Double `x`."
    assert small.setup.startswith("import math")


@pytest.mark.parametrize("name", NAMES)
def test_every_setup_runs_and_defines_what_was_promoted(name):
    assignment = find_assignment(name)
    names = {}
    exec(assignment.setup, names)
    cells = nbformat.read(next(f / f"{name}.ipynb" for f in FOLDERS if (f / f"{name}.ipynb").exists()), 4).cells
    for cell in cells:
        if "promoted" in cell.metadata.get("tags", []):
            assert {node.name for node in ast.parse(cell.source).body if hasattr(node, "name")} <= set(names)


def run(cells) -> list[float]:
    """Run a notebook's code as a kernel would; the values of cells that end with one."""
    names: dict = {}
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    values = []
    for source in sources:
        *body, last = ast.parse(source).body
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            values.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
    return values


def test_the_learners_notebook_runs_and_earns_nothing(small, capsys):
    assert run(notebook(small).cells) == [0.0]
    assert "not done yet" in capsys.readouterr().out


def test_the_solved_notebook_earns_all_points(small, capsys):
    assert run(notebook(small, "def double(x):\n    return 2 * x\n").cells) == [2.0]
    assert "right." in capsys.readouterr().out


def test_the_learners_notebook_begins_with_its_title_and_introduction(small):
    assert notebook(small).cells[0].source.startswith("# 99 · Small\n\nAbout doubling.\n\nFill in")
    assert notebook(find_assignment("03")).cells[0].source.startswith("# 03 · Attention\n\nFill in")
    assert "How it is graded" in notebook(find_assignment("A3")).cells[0].source


def test_the_learners_notebook_holds_no_solution(small):
    text = nbformat.writes(notebook(small))
    assert "SOLUTION" not in text
    assert "2 * x" not in text


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_hand_out_is_written_whole(name, tmp_path):
    assignment = find_assignment(name)
    learners, solved, tests = hand_out(assignment, tmp_path)
    for path in (learners, solved):
        nbformat.validate(nbformat.read(path, as_version=4))
    cells = nbformat.read(solved, as_version=4).cells
    graded = [cell.metadata.nbgrader for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [facts.points for facts in graded] == [exercise.points for exercise in assignment.exercises]
    assert len(list(tests.glob("q*.py"))) == len(assignment.exercises)
    assert (tmp_path / "nbgrader_config.py").exists()


def test_a_solved_cell_solves_its_own_exercise_only():
    assignment = find_assignment("03")
    for exercise in assignment.exercises:
        names: dict = {}
        exec(assignment.setup, names)
        before = set(names)
        exec(solution_of(exercise, assignment, (SOLUTIONS / "03_attention.py").read_text(encoding="utf-8")), names)
        confirm(exercise.check, names)
        others = {name for other in assignment.exercises if other is not exercise for name in other.names}
        assert not others & (set(names) - before)


def test_confirm_raises_what_the_check_says(small):
    (exercise,) = small.exercises
    confirm(exercise.check, {"double": lambda x: 2 * x})
    with pytest.raises(AssertionError, match="not 6"):
        confirm(exercise.check, {"double": lambda x: x})


def test_an_assignment_is_found_by_its_number():
    assert find_assignment("03").name == "03_attention"
    with pytest.raises(MinigptError, match="03_attention"):
        find_assignment("03_attenshun")


def test_a_notebook_without_exercises_is_refused(tmp_path):
    nbformat.write(new_notebook(), tmp_path / "empty.ipynb")
    for name, told in {"empty.ipynb": "no exercises", "none.ipynb": "is no notebook"}.items():
        with pytest.raises(MinigptError, match=told):
            read_assignment(tmp_path / name)


def test_otters_test_file_is_plain_python(tmp_path):
    tests = hand_out(find_assignment("03"), tmp_path)[2]
    ast.parse((tests / "q1.py").read_text(encoding="utf-8"))
    with pytest.raises(ModuleNotFoundError):  # it needs otter, which is not installed here
        runpy.run_path(str(tests / "q1.py"))
