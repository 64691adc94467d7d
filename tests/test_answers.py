"""Right answers written differently are accepted, and wrong ones refused with the message meant for them."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from minigpt.assignments import DEFINITIONS, Assignment, find_assignment
from minigpt.exercises import Verdict
from minigpt.grading import examine
from minigpt.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
SEED = 0  # the one that `minigpt grade` uses unless it is told another
FILES = sorted((ROOT / "tests" / "answers").glob("*.py"))


@dataclass(frozen=True)
class Answer:
    """A possible answer, and a part of the message that it must get: None for a right one."""

    exercise: int
    source: str
    message: str | None
    line: int


def read_answers(path: Path, assignment: Assignment) -> Iterator[Answer]:
    """The answers of a file: what is decorated with `@right` or `@wrong("...")`, behind all that is not.

    Before it stand the worked solutions, for an exercise that asks for two functions of which the answer is one.
    """
    solutions = (ROOT / "tests" / "solutions" / path.name).read_text(encoding="utf-8")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    numbers = {name: number for number, one in enumerate(assignment.exercises) for name in one.names}
    verdicts = [verdict_of(node) for node in tree.body]
    shared = [node for node, verdict in zip(tree.body, verdicts, strict=True) if verdict is None]
    for node, verdict in zip(tree.body, verdicts, strict=True):
        if verdict is not None:
            line, node.decorator_list = node.lineno, []
            source = ast.unparse(ast.Module([*shared, node], []))
            yield Answer(numbers[node.name], f"{solutions}\n{source}", verdict or None, line)


def verdict_of(node: ast.stmt) -> str | None:
    """The message that a decorator names; "" for `@right`; None without any."""
    for decorator in getattr(node, "decorator_list", []) if isinstance(node, DEFINITIONS) else []:
        if isinstance(decorator, ast.Name) and decorator.id == "right":
            return ""
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "wrong":
            return ast.literal_eval(decorator.args[0])
    return None


def judge(assignment: Assignment, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """What the checks say of answers, each of them in a branch of one sandbox."""
    with Sandbox() as sandbox:
        sandbox.run(assignment.setup)
        for answer in answers:
            with sandbox.branch():
                with sandbox.time_limit():
                    sandbox.run(answer.source)
                yield examine(sandbox, assignment, assignment.exercises[answer.exercise], SEED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_right_answers_are_accepted_and_wrong_ones_refused_for_their_own_reason(path):
    assignment = find_assignment(path.stem)
    answers = list(read_answers(path, assignment))
    complaints = []
    for answer, verdict in zip(answers, judge(assignment, answers), strict=True):
        expected = verdict.right if answer.message is None else not verdict.right and answer.message in verdict.words
        if not expected:
            complaints.append(f"{path.name}:{answer.line}: expected {answer.message or 'right'!r}: {verdict}")
    assert not complaints, "\n".join(["", *complaints])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_exercise_has_four_right_answers_and_eight_wrong_ones(path):
    assignment = find_assignment(path.stem)
    answers = list(read_answers(path, assignment))
    for number, exercise in enumerate(assignment.exercises):
        wrong = [answer.message for answer in answers if answer.exercise == number and answer.message]
        right = [answer for answer in answers if answer.exercise == number and not answer.message]
        assert len(right) >= 4, f"{exercise.title}: {len(right)} right answers"
        assert len(wrong) >= 8, f"{exercise.title}: {len(wrong)} wrong answers"
