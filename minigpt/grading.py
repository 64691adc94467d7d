"""Grading a class: each learner's code runs in a sandbox, and the checks outside it.

A submission is a notebook, whole or broken: whatever can be run of it is run, whatever cannot is said in a sentence,
and every exercise is judged by itself. Nothing that one learner wrote can change a check, another's grade, or the run.
"""

import contextlib
import csv
import difflib
import html
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from minigpt.assignments import ROOT, Assignment, Exercise, find_assignment
from minigpt.errors import MinigptError
from minigpt.exercises import Stopped, Verdict, check
from minigpt.files import replacing
from minigpt.sandbox import PATIENCE, Limits, Sandbox

MOST_CELLS = 300
MOST_BYTES = 20_000_000
SETUP_SECONDS = 30
CELLS_LIMIT = 30  # all cells together may take so many times what one may


@dataclass(frozen=True)
class Submission:
    """What one learner handed in.

    Attributes:
        student: the name of the file or folder.
        paths: of the notebooks; there should be one.
    """

    student: str
    paths: tuple[Path, ...]


@dataclass
class Report:
    """How a submission was graded.

    Attributes:
        student: who.
        verdicts: one an exercise.
        remarks: what was wrong with the notebook itself.
    """

    student: str
    verdicts: list[Verdict] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


# Reading ------------------------------------------------------------------------------------------------------------


def find_submissions(folder: Path) -> list[Submission]:
    """The notebooks of a folder, by learner: `NAME.ipynb`, or anything below `NAME/`.

    Raises:
        MinigptError: there is none.
    """
    folder, found = folder.resolve(), {}
    for path in sorted(folder.rglob("*.ipynb")):
        below = path.relative_to(folder)
        if not any(part.startswith(".") for part in below.parts):
            found.setdefault(below.parts[0].removesuffix(".ipynb"), []).append(path)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.name.startswith("."):
            found.setdefault(path.name, [])
    if not found:
        raise MinigptError(
            f"there are no notebooks in {folder}: collect one a learner there, as NAME.ipynb or in NAME/"
        )
    return [Submission(student, tuple(paths)) for student, paths in sorted(found.items())]


def which_assignment(submissions: Sequence[Submission]) -> Assignment:
    """The assignment that most of the notebooks say they are.

    Raises:
        MinigptError: they do not say.
    """
    named: Counter[str] = Counter()
    for path in (path for submission in submissions for path in submission.paths):
        with contextlib.suppress(MinigptError, AttributeError):
            named[read_notebook(path).get("metadata", {}).get("minigpt", {}).get("assignment")] += 1
    named.pop(None, None)
    if not named:
        raise MinigptError("these notebooks do not say which assignment they are: name it, as in --assignment 03")
    return find_assignment(named.most_common(1)[0][0])


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as it is, valid or not.

    Raises:
        MinigptError: it is no notebook at all.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise MinigptError(f"the notebook has {path.stat().st_size:,} bytes: clear its outputs")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MinigptError(f"the file is no notebook, for it is not JSON ({error})") from None
    if not isinstance(found, dict) or not isinstance(found.get("cells"), list):
        raise MinigptError("the file is no notebook: it has no list of cells")
    return found


def code_cells(notebook: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Number and source of the cells that a learner wrote: all code but checks, without IPython's commands."""
    for number, cell in enumerate(notebook["cells"][:MOST_CELLS], 1):
        source = cell.get("source", "") if isinstance(cell, dict) and cell.get("cell_type") == "code" else ""
        source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        if source.strip() and "with check(" not in source:
            lines = source.split("\n")
            yield number, "\n".join("pass" if line.startswith(("%", "!", "?")) else line for line in lines)


# Grading ------------------------------------------------------------------------------------------------------------


class Run:
    """One submission in the sandbox, which is started again whenever the code has brought it down.

    Args:
        assignment: what was to be done.
        cells: number and source.
        limits: what the code may take.
    """

    def __init__(self, assignment: Assignment, cells: Sequence[tuple[int, str]], limits: Limits):
        self.assignment, self.cells, self.limits = assignment, cells, limits
        self.remarks: dict[int, str] = {}
        self.names: list[str] = []
        self.done: set[int] = set()
        self.stack = contextlib.ExitStack()
        self.sandbox: Sandbox | None = None
        self.seconds_left = CELLS_LIMIT * limits.seconds

    def start(self) -> Sandbox:
        """A sandbox in which all cells have run that can.

        Raises:
            MinigptError: what the assignment begins with was stopped.
        """
        while self.sandbox is None or self.sandbox.process.poll() is not None:
            self.stack.close()
            self.sandbox = self.stack.enter_context(Sandbox(self.limits))
            try:
                with self.sandbox.time_limit(SETUP_SECONDS):
                    self.sandbox.run(self.assignment.setup)
            except Stopped as reason:
                raise MinigptError(
                    f"not graded: the assignment's own first cells were stopped, for {reason}; grade it once more, with"
                    " fewer --processes"
                ) from None
            begun = time.monotonic()
            with contextlib.suppress(Stopped):
                self.run_cells(self.sandbox, begun + self.seconds_left)
            self.seconds_left -= time.monotonic() - begun
        return self.sandbox

    def run_cells(self, sandbox: Sandbox, until: float) -> None:
        """Run the cells, and once more those that lacked a name which a later one defines."""
        waiting = [cell for cell in self.cells if cell[0] not in self.remarks]
        for last in (False, True):
            early, waiting = waiting, []
            for number, source in early:
                if time.monotonic() > until and number not in self.done:
                    self.remarks[number] = f"cell {number} was left out: those before it took too long"
                    continue
                try:
                    with sandbox.time_limit():
                        self.names = sandbox.run(source)
                    self.done.add(number)
                except Stopped as reason:
                    self.remarks[number] = f"cell {number} was left out: {reason}"
                    raise
                except NameError as error:
                    waiting.append((number, source))
                    if last:
                        self.remarks[number] = f"cell {number} stopped with a NameError: {error}"
                except Exception as error:
                    self.remarks[number] = f"cell {number} stopped with a {type(error).__name__}: {error}"

    def judge(self, exercise: Exercise, seed: int) -> Verdict:
        """Check one exercise."""
        sandbox = self.start()
        missing = [name for name in exercise.names if name not in self.names]
        if missing:
            return Verdict(exercise.title, words=f"not yet: {self.advice(missing[0])}")
        with sandbox.branch():
            return examine(sandbox, self.assignment, exercise, seed)

    def advice(self, name: str) -> str:
        """What to do about a name that is not defined."""
        near = difflib.get_close_matches(name, self.names, cutoff=0.6)
        hint = f"; it defines {near[0]}: call it {name}, as the stub does" if near else ": was the cell deleted?"
        return f"the notebook defines no {name}{hint}"


def examine(sandbox: Sandbox, assignment: Assignment, exercise: Exercise, seed: int) -> Verdict:
    """Check an exercise whose answer has run in a sandbox."""
    verdicts = [Verdict(exercise.title, words="not yet: the check did not come to its end")]
    namespace = setup_of(assignment) | {"check": partial(check, seed=seed, tell=verdicts.append)}
    with contextlib.suppress(Stopped), sandbox.time_limit(), alarm(PATIENCE * sandbox.limits.seconds):
        namespace |= {name: sandbox.look(name) for name in exercise.names}
        exec(exercise.check, namespace)
    return verdicts[-1]


def setup_of(assignment: Assignment) -> dict[str, Any]:
    """What the cells before the exercises define, here outside the sandbox."""
    if assignment.name not in SETUPS:
        os.chdir(ROOT / "notebooks")  # where a notebook's paths begin
        SETUPS[assignment.name] = {"__name__": "the check"}
        exec(assignment.setup, SETUPS[assignment.name])
    return SETUPS[assignment.name]


SETUPS: dict[str, dict[str, Any]] = {}


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Stop a check that takes too long over what it got back."""

    def ring(*_: Any) -> None:
        raise Stopped(f"the check took longer than {seconds:g} seconds over what your code returned")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def grade(submission: Submission, assignment: Assignment, limits: Limits, seed: int) -> Report:
    """Grade one submission; the same seed gives the same grades.

    Args:
        submission: what was handed in.
        assignment: what was to be done.
        limits: what the code may take.
        seed: of the checks' inputs.
    """
    report = Report(submission.student)
    cells: list[tuple[int, str]] = []
    named = [path for path in submission.paths if path.stem == assignment.name]
    if not submission.paths:
        report.remarks.append("no notebook was handed in")
    elif len(submission.paths) > 1 and len(named) != 1:
        names = ", ".join(path.name for path in submission.paths)
        report.remarks.append(f"there are several notebooks ({names}), and none of them was graded: hand in one")
    else:
        try:
            cells = list(code_cells(read_notebook((named or submission.paths)[0])))
        except MinigptError as error:
            report.remarks.append(str(error))
    run = Run(assignment, cells, limits)
    with run.stack:
        try:
            for exercise in assignment.exercises if cells else ():
                report.verdicts.append(run.judge(exercise, seed))
        except MinigptError as error:
            report.remarks.append(str(error))
    for exercise in assignment.exercises[len(report.verdicts) :]:
        report.verdicts.append(Verdict(exercise.title, words="not yet: there is nothing to grade"))
    report.remarks += [run.remarks[number] for number in sorted(run.remarks)]
    return report


def grade_class(
    submissions: Sequence[Submission], assignment: Assignment, limits: Limits, seed: int, processes: int
) -> list[Report]:
    """Grade all submissions, several at a time, in the order of the learners' names."""
    reports = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(grade, submission, assignment, limits, seed) for submission in submissions]
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="submission"):
            reports.append(job.result())
    return sorted(reports, key=lambda report: report.student)


# Writing ------------------------------------------------------------------------------------------------------------


def write_grades(path: Path, assignment: Assignment, reports: Sequence[Report]) -> None:
    """A table of all grades: a row a learner, a column an exercise."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["student", *(e.title for e in assignment.exercises), "points", "out of", "remarks"])
        for report in reports:
            points = points_of(assignment, report)
            row = [report.student, *points, sum(points), total(assignment), "; ".join(report.remarks)]
            table.writerow([guarded(cell) for cell in row])


def write_leaderboard(path: Path, reports: Sequence[Report]) -> bool:
    """Right answers that were measured, best (lowest) first, if there are any; whether there were."""
    rows = [
        (value, report.student, verdict.title, measure)
        for report in reports
        for verdict in report.verdicts
        if verdict.right
        for measure, value in verdict.measures.items()
    ]
    if rows:
        with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["student", "exercise", "measure", "value"])
            table.writerows([guarded(cell) for cell in row[1:]] + [f"{row[0]:.4f}"] for row in sorted(rows))
    return bool(rows)


def write_feedback(folder: Path, assignment: Assignment, report: Report) -> None:
    """A page for one learner."""
    points = points_of(assignment, report)
    parts = [f"<h1>{html.escape(assignment.title)}</h1>", f"<p>{html.escape(report.student)}: "]
    parts.append(f"{sum(points):g} of {total(assignment):g} points</p>")
    parts += [f"<p class=remark>{html.escape(remark)}</p>" for remark in report.remarks]
    for exercise, verdict, got in zip(assignment.exercises, report.verdicts, points, strict=True):
        kind = "right" if verdict.right else "wrong"
        parts.append(f"<h2 class={kind}>{html.escape(exercise.title)}: {got:g} of {exercise.points:g}</h2>")
        parts.append(f"<p>{html.escape(str(verdict))}</p><pre>{html.escape(exercise.prompt)}</pre>")
    with replacing(folder / f"{report.student}.html") as temporary:
        temporary.write_text(PAGE.format("\n".join(parts)), encoding="utf-8")


PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Feedback</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 45em; margin: 2em auto; padding: 0 1em }}
h2 {{ font-size: 1.1em; border-left: 0.4em solid; padding-left: 0.5em }}
.right {{ border-color: #009E73 }}
.wrong, .remark {{ border-color: #D55E00 }}
.remark {{ border-left: 0.4em solid; padding-left: 0.5em }}
pre {{ white-space: pre-wrap; color: #555 }}
</style>
{}
"""


def points_of(assignment: Assignment, report: Report) -> list[float]:
    """The points of each exercise."""
    return [v.points(e.points) for e, v in zip(assignment.exercises, report.verdicts, strict=True)]


def total(assignment: Assignment) -> float:
    """The points that can be had."""
    return sum(exercise.points for exercise in assignment.exercises)


def guarded(cell: Any) -> Any:
    """A cell of a table that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def describe(assignment: Assignment, reports: Sequence[Report]) -> str:
    """How the class did, exercise by exercise."""
    rows = []
    for number, exercise in enumerate(assignment.exercises):
        right = sum(report.verdicts[number].right for report in reports)
        rows.append(f"{exercise.title:<50} {right:>4} of {len(reports)} right")
    mean = sum(sum(points_of(assignment, report)) for report in reports) / len(reports)
    return "\n".join([*rows, f"{'mean':<50} {mean:>6.1f} of {total(assignment):g} points"])
