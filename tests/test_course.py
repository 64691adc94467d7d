"""The course itself: every notebook follows the blueprint, equals the package, and has exercises that can be solved.

Each rule reads one chapter and yields complaints. Every rule is also tried on a small notebook that breaks it.
"""

import ast
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SOLUTIONS = ROOT / "tests" / "solutions"
TOOL = ROOT / "tools" / "notebooks.py"
normalise = runpy.run_path(str(TOOL))["normalise"]

PARTS = [
    "What you will build", "The problem", "The build", "The code that stays", "In use", "What the article says",
    "Your turn", "What you have now",
]  # fmt: skip
# Chapter 00 builds no model, so it has parts of its own.
FIRST_PARTS = [
    "What you will build", "Check your setup", "The language", "The ladder", "How a chapter works", "Your turn",
    "Glossary",
]  # fmt: skip
MODULES = {
    0: [], 1: ["perceptron"], 2: ["recurrent"], 3: ["attention"], 4: ["ngram"], 5: ["autograd"], 6: ["losses"],
    7: ["losses"], 8: ["sampling"], 9: ["tokenizers", "datasets"], 10: ["transformer"], 11: ["training"], 12: [],
    13: ["family"], 14: ["xlnet", "t5"],
}  # fmt: skip
IGNORED = "nbval-ignore-output"
TAGS = {"imports", "promoted", "exercise", "check", "points-1", "points-2", "points-3", IGNORED}
MOST_LINES = 25
NETWORK = {"aiohttp", "fetch", "ftplib", "from_pretrained", "http", "httpx", "requests", "socket", "urllib", "urlopen"}
REGISTRY = set(json.loads((ROOT / "data" / "corpora.json").read_text(encoding="utf-8")))


class Chapter:
    """A notebook: its number, its file's text, and its cells."""

    def __init__(self, name: str, text: str):
        self.name = name
        self.text = text
        self.number = int(name[:2])
        self.notebook = nbformat.reads(text, as_version=4)
        self.cells = self.notebook.cells
        self.code = [cell for cell in self.cells if cell.cell_type == "code"]
        self.prose = [cell.source for cell in self.cells if cell.cell_type == "markdown"]

    def tagged(self, *tags: str) -> list[str]:
        """The sources of the cells that have one of some tags, in order."""
        return [cell.source for cell in self.code if has_tag(cell, *tags)]


def has_tag(cell, *tags: str) -> bool:
    return bool(set(tags) & set(cell.metadata.get("tags", [])))


def shows_figure(cell) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def shows_text(cell) -> bool:
    """Whether a code cell has an output that nbval compares and that says more than "here is a figure"."""
    texts = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return any(text and not text.startswith("<Figure") for text in texts)


def short(source: str) -> str:
    return repr(source[:60])


CHAPTERS = [Chapter(path.stem, path.read_text(encoding="utf-8")) for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)

# The glossary -------------------------------------------------------------------------------------------------------

Glossary = Mapping[str, int]  # the chapter that explains each term


def read_glossary(chapters: Sequence[Chapter]) -> dict[str, int]:
    """The terms of the tables in chapter 00: `| term | Chinese | meaning | chapter |`."""
    rows = [line for chapter in chapters if chapter.number == 0 for cell in chapter.prose for line in cell.split("\n")]
    columns = [[column.strip() for column in row.strip("| ").split(" | ")] for row in rows if row.startswith("| ")]
    return {row[0].lower(): int(row[3]) for row in columns if len(row) == 4 and row[3].isdigit()}


GLOSSARY = read_glossary(CHAPTERS)


def bold_terms(source: str) -> Iterator[str]:
    """The terms that a cell prints in bold, where it explains them; run-in headings and claims are none."""
    for bold in re.findall(r"\*\*([^*]+)\*\*", source):
        if re.fullmatch(r"[^\W\d][\w\s-]*", bold) and not re.fullmatch(r"S\d+", bold):
            yield re.sub(r"\s+", " ", bold).lower()


def in_glossary(term: str, glossary: Glossary) -> str | None:
    """The entry for a term, which may stand in the plural."""
    return next((entry for entry in (term, term.removesuffix("s"), term.removesuffix("es")) if entry in glossary), None)


# The rules ----------------------------------------------------------------------------------------------------------

Rule = Callable[[Chapter], Iterator[str]]


def the_parts_stand_in_order(chapter: Chapter) -> Iterator[str]:
    headings = [line for cell in chapter.prose for line in cell.split("\n") if re.match("##? ", line)]
    expected = ["## " + part for part in (PARTS if chapter.number else FIRST_PARTS)]
    if not re.fullmatch(rf"# {chapter.name[:2]} · \S.*", headings[0] if headings else ""):
        yield f"the notebook must begin with the title '# {chapter.name[:2]} · Name'"
    if headings[1:] != expected:
        yield f"the parts are {headings[1:]}, not {expected}"


def cells_are_short(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.cells:
        lines = cell.source.count("\n") + 1
        # A class of the package cannot be cut in two, but it can have the cell to itself.
        alone = has_tag(cell, "promoted") and sum(isinstance(node, DEFINITIONS) for node in parse(cell).body) == 1
        if lines > MOST_LINES and not alone:
            yield f"{lines} lines, at most {MOST_LINES} are allowed: {short(cell.source)}"


def cells_ran_once_from_top_to_bottom(chapter: Chapter) -> Iterator[str]:
    counts = [cell.execution_count for cell in chapter.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the execution counts are {counts}: run `python tools/notebooks.py execute`"


def outputs_are_compared(chapter: Chapter) -> Iterator[str]:
    shown = [cell for cell in chapter.code if shows_text(cell)]
    compared = sum(not has_tag(cell, IGNORED) for cell in shown)
    if compared < max(1, len(shown) - compared):
        yield f"only {compared} of {len(shown)} printed outputs are compared"


def no_errors_are_stored(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.code:
        for output in cell.outputs:
            if output.output_type == "error" or (output.get("name") == "stderr" and not has_tag(cell, IGNORED)):
                yield f"an error or a warning is stored: {short(cell.source)}"


def the_file_is_normal(chapter: Chapter) -> Iterator[str]:
    if nbformat.writes(normalise(chapter.notebook)) + "\n" != chapter.text:
        yield "metadata or layout are not normal: run `python tools/notebooks.py execute`"
    tags = {tag for cell in chapter.cells for tag in cell.metadata.get("tags", [])}
    if not tags <= TAGS:
        yield f"unknown tags {tags - TAGS}; known are {TAGS}"


def no_cell_needs_the_network(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.code:
        try:
            nodes = list(ast.walk(ast.parse(cell.source)))
        except SyntaxError:
            yield f"no plain Python, so it may do anything: {short(cell.source)}"
            continue
        names = {getattr(node, field, None) for node in nodes for field in ("id", "attr", "module", "name")}
        strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        reached = NETWORK & {name.split(".")[0] for name in names if isinstance(name, str)} | REGISTRY & strings
        if reached:
            yield f"{sorted(reached)} would need the network: {short(cell.source)}"


def figures_are_described(chapter: Chapter) -> Iterator[str]:
    if sum(map(shows_figure, chapter.cells)) < 2:
        yield "at least two figures must carry the argument"
    for cell, following in zip(chapter.cells, [*chapter.cells[1:], new_code_cell()]):
        described = following.cell_type == "markdown" and following.source.startswith("*Figure:* ")
        if shows_figure(cell) != described:
            yield f"a figure and a cell that begins with '*Figure:*' belong together: {short(cell.source)}"


def references_resolve(chapter: Chapter) -> Iterator[str]:
    for source in chapter.prose:
        for target in re.findall(r"\]\(([^)\s]+)\)", source):
            path, _, fragment = target.partition("#")
            if not target.startswith("https://") and (fragment or not (NOTEBOOKS / path).exists()):
                yield f"the link to {target} leads nowhere"
        for target in re.findall(r"`((?:minigpt|tests|notebooks|data|tools)/[\w./]+)`", source):
            if not (ROOT / target).exists() and not is_planned(Path(target).stem):
                yield f"there is no file {target}"
        for module, name in re.findall(r"`minigpt\.(\w+)(?:\.(\w+))?`", source):
            code = module_source(module)
            if (code is None and not is_planned(module)) or (code and name and not re.search(rf"\b{name}\b", code)):
                yield f"there is no minigpt.{module}{'.' * bool(name)}{name}"


def ignored_outputs_are_followed_by_a_verdict(chapter: Chapter) -> Iterator[str]:
    for cell, following in zip(chapter.code, [*chapter.code[1:], None]):
        if has_tag(cell, IGNORED) and not (
            following and not has_tag(following, *TAGS) and re.search(r"^\s*assert ", following.source, re.MULTILINE)
        ):
            yield f"an ignored output needs a cell after it that asserts what matters: {short(cell.source)}"


def every_exercise_has_a_check(chapter: Chapter) -> Iterator[str]:
    kinds = [tag for cell in chapter.code for tag in cell.metadata.get("tags", []) if tag in ("exercise", "check")]
    if len(kinds) < 6 or kinds != ["exercise", "check"] * (len(kinds) // 2):
        yield f"at least three exercises, each with its check, are needed, not {kinds}"
    for source in chapter.tagged("exercise"):
        if "raise NotImplementedError" not in source:
            yield f"the exercise is no stub: {short(source)}"


def bold_terms_are_in_the_glossary(chapter: Chapter, glossary: Glossary = GLOSSARY) -> Iterator[str]:
    for term in {term for source in chapter.prose for term in bold_terms(source)}:
        if not in_glossary(term, glossary):
            yield f"**{term}** is not in the glossary of chapter 00 (italics are for emphasis, bold is for terms)"


def terms_are_explained_before_they_are_used(chapter: Chapter, glossary: Glossary = GLOSSARY) -> Iterator[str]:
    explained = {in_glossary(term, glossary) for source in chapter.prose for term in bold_terms(source)}
    for term, number in glossary.items():
        if number == chapter.number and term not in explained:
            yield f"the glossary says that chapter {number:02} explains '{term}', but it never stands there in bold"
    for source in chapter.prose:
        for term, number in glossary.items():
            used = re.search(rf"\b{re.escape(term)}s?\b", source, re.IGNORECASE) and not source.startswith("| ")
            if number > chapter.number and used and not re.search(rf"\b0?{number}\b", source):
                yield f"'{term}' is explained in chapter {number:02} only; name that chapter here: {short(source)}"


# Promotion ----------------------------------------------------------------------------------------------------------

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def parse(cell) -> ast.Module:
    return ast.parse(cell.source)


def module_source(name: str) -> str | None:
    """The source of a module of the package; None if there is none."""
    paths = (ROOT / "minigpt" / f"{name}.py", ROOT / "minigpt" / name / "__init__.py")
    return next((path.read_text(encoding="utf-8") for path in paths if path.exists()), None)


def is_planned(module: str) -> bool:
    """Whether a module belongs to a chapter that is not written yet."""
    written = {chapter.number for chapter in CHAPTERS}
    return any(module in modules and number not in written for number, modules in MODULES.items())


def definitions(source: str) -> dict[str, str]:
    """The syntax tree of each function, class and constant that a module or cell defines."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, DEFINITIONS):
            found[node.name] = ast.dump(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                found[ast.unparse(target)] = ast.dump(node)
    return found


def unlike_the_package(promoted: Sequence[str], modules: Sequence[str]) -> Iterator[str]:
    """What promoted cells hold that their modules (sources) do not."""
    package = [definitions(source) for source in modules]
    for cell in promoted:
        for name, tree in definitions(cell).items():
            if tree not in [module.get(name) for module in package]:
                yield f"{name} in the notebook is not the {name} of the package"
        for node in ast.parse(cell).body:
            if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
                yield f"a promoted cell holds definitions only, not {short(ast.unparse(node))}"


def missing_in_the_course(promoted: Sequence[str], module: str) -> Iterator[str]:
    """The public definitions of a module (source) that no promoted cell holds."""
    held = {name for cell in promoted for name in definitions(cell)}
    for name in definitions(module):
        if not name.startswith("_") and name not in held:
            yield f"{name} of the package is in no promoted cell"


def promoted_cells_equal_the_package(chapter: Chapter) -> Iterator[str]:
    sources = [module_source(module) or "" for module in MODULES[chapter.number]]
    yield from unlike_the_package(chapter.tagged("promoted"), sources)


WRITTEN_MODULES = [
    module
    for module in sorted({module for modules in MODULES.values() for module in modules})
    if all(any(chapter.number == n for chapter in CHAPTERS) for n, modules in MODULES.items() if module in modules)
]


@pytest.mark.parametrize("module", WRITTEN_MODULES)
def test_every_public_definition_of_the_package_is_built_in_its_chapter(module):
    promoted = [cell for c in CHAPTERS if module in MODULES[c.number] for cell in c.tagged("promoted")]
    assert not list(missing_in_the_course(promoted, module_source(module) or ""))


CELL = 'WIDTH = 3\n\n\ndef double(x: int) -> int:\n    """Twice x."""\n    return 2 * x'
MODULE = f'"""A module."""\n\nimport math\n\n{CELL}\n\n\ndef _private():\n    pass\n'


def test_equal_definitions_are_promoted():
    assert not [*unlike_the_package([CELL], [MODULE]), *missing_in_the_course([CELL], MODULE)]


@pytest.mark.parametrize("old", ["2 * x", "Twice", "double", "x: int", "WIDTH = 3"])
def test_one_changed_character_on_either_side_is_seen(old):
    new = old[:-1] + chr(ord(old[-1]) + 1)
    assert list(unlike_the_package([CELL.replace(old, new)], [MODULE]))
    assert list(unlike_the_package([CELL], [MODULE.replace(old, new)]))


def test_a_definition_left_out_on_either_side_is_seen():
    assert list(missing_in_the_course(["WIDTH = 3"], MODULE)) == ["double of the package is in no promoted cell"]
    missing = list(unlike_the_package([CELL], [MODULE.replace(CELL, "WIDTH = 3")]))
    assert missing == ["double in the notebook is not the double of the package"]


def test_other_statements_in_a_promoted_cell_are_seen():
    assert list(unlike_the_package([CELL + "\nprint(double(2))"], [MODULE]))


# The rules, applied -------------------------------------------------------------------------------------------------

RULES: list[Rule] = [
    the_parts_stand_in_order,
    cells_are_short,
    cells_ran_once_from_top_to_bottom,
    outputs_are_compared,
    no_errors_are_stored,
    the_file_is_normal,
    no_cell_needs_the_network,
    figures_are_described,
    references_resolve,
    ignored_outputs_are_followed_by_a_verdict,
    every_exercise_has_a_check,
    bold_terms_are_in_the_glossary,
    terms_are_explained_before_they_are_used,
    promoted_cells_equal_the_package,
]


@each_chapter
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_chapter_keeps_the_rule(rule, chapter):
    complaints = list(rule(chapter))
    assert not complaints, "\n".join([f"notebooks/{chapter.name}.ipynb:", *complaints])


def test_the_map_in_chapter_00_links_every_other_chapter():
    first = [chapter for chapter in CHAPTERS if chapter.number == 0]
    for chapter in CHAPTERS:
        assert chapter in first or any(f"]({chapter.name}.ipynb)" in source for c in first for source in c.prose)


# The rules, each broken ---------------------------------------------------------------------------------------------

EXPLAINED = read_glossary([Chapter("00_start_here", nbformat.writes(new_notebook(cells=[new_markdown_cell(
    "| term | 中文 | meaning | chapter |\n| --- | --- | --- | --- |\n| gate | 门 | a number from 0 to 1 | 2 |\n"
    "| mask | 掩码 | what may not be seen | 3 |"
)])))])  # fmt: skip


def code(source: str, *outputs, tags: Sequence[str] = ()) -> nbformat.NotebookNode:
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)} if tags else {})


def printed(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return new_output("stream", name=name, text=text)


def small_chapter() -> list[nbformat.NotebookNode]:
    """A chapter that keeps every rule."""
    figure = new_output("display_data", {"image/png": "", "text/plain": "<Figure size 1x1 with 1 Axes>"})
    exercise = [
        code("def f():\n    raise NotImplementedError", tags=["exercise"]),
        code('with check("1: f"):\n    assert f()', printed("not done yet"), tags=["check"]),
    ]
    cells = [new_markdown_cell("# 02 · Small")]
    for part in PARTS:
        cells.append(new_markdown_cell(f"## {part}"))
        if part == "The build":
            cells.append(new_markdown_cell("A **gate** lets through what `minigpt.errors.MinigptError` says."))
            for _ in range(2):
                cells += [code("plt.show()", figure), new_markdown_cell("*Figure:* a line that rises.")]
            cells += [code("print(1)", printed("1\n")), code("print(time())", printed("7\n"), tags=[IGNORED])]
            cells += [code("assert True\nprint(2)", printed("2\n"))]
        if part == "Your turn":
            cells += exercise * 3
    return cells


def assemble(cells: Sequence[nbformat.NotebookNode]) -> Chapter:
    """A chapter 02 of some cells, run from top to bottom."""
    numbered = [{**cell, "id": f"cell-{number}"} for number, cell in enumerate(cells)]
    notebook = normalise(new_notebook(cells=numbered))
    for number, cell in enumerate([cell for cell in notebook.cells if cell.cell_type == "code"], 1):
        cell.execution_count = number
    return Chapter("02_small", nbformat.writes(notebook) + "\n")


def complaints(rule: Rule, chapter: Chapter) -> list[str]:
    uses_glossary = rule in (bold_terms_are_in_the_glossary, terms_are_explained_before_they_are_used)
    return list(rule(chapter, EXPLAINED) if uses_glossary else rule(chapter))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_chapter_that_keeps_every_rule_gets_no_complaint(rule):
    assert not complaints(rule, assemble(small_chapter()))


BREAKS: list[tuple[Rule, nbformat.NotebookNode]] = [
    (the_parts_stand_in_order, new_markdown_cell("## What you will build")),
    (the_parts_stand_in_order, new_markdown_cell("# A second title")),
    (cells_are_short, code("\n".join(["x = 1"] * 26))),
    (cells_are_short, code("def f():\n    pass\n\n\ndef g():\n" + "    pass\n" * 26, tags=["promoted"])),
    (outputs_are_compared, code("print(time())", printed("8\n"), tags=[IGNORED])),
    (no_errors_are_stored, code("1 / 0", new_output("error", ename="ZeroDivisionError", evalue="", traceback=[]))),
    (no_errors_are_stored, code("warn()", printed("DeprecationWarning", "stderr"))),
    (the_file_is_normal, code("x = 1", tags=["solution"])),
    (no_cell_needs_the_network, code("import urllib.request")),
    (no_cell_needs_the_network, code("from requests import get")),
    (no_cell_needs_the_network, code("corpora.fetch(name)")),
    (no_cell_needs_the_network, code('open_corpus("tinyshakespeare")')),
    (no_cell_needs_the_network, code("!pip install torch")),
    (figures_are_described, code("plt.show()", new_output("display_data", {"image/png": ""}))),
    (figures_are_described, new_markdown_cell("*Figure:* of nothing.")),
    (references_resolve, new_markdown_cell("See [chapter 99](99_nothing.ipynb).")),
    (references_resolve, new_markdown_cell("It becomes `minigpt/nothing.py`.")),
    (references_resolve, new_markdown_cell("It is `minigpt.errors.Nothing`.")),
    (ignored_outputs_are_followed_by_a_verdict, code("print(time())", tags=[IGNORED])),
    (every_exercise_has_a_check, code("def g():\n    raise NotImplementedError", tags=["exercise"])),
    (bold_terms_are_in_the_glossary, new_markdown_cell("A **flux capacitor** is needed.")),
    (terms_are_explained_before_they_are_used, new_markdown_cell("Masks hide the future.")),
    (promoted_cells_equal_the_package, code("def f():\n    pass", tags=["promoted"])),
]


@pytest.mark.parametrize(("rule", "cell"), BREAKS, ids=[f"{rule.__name__}-{n}" for n, (rule, _) in enumerate(BREAKS)])
def test_a_cell_that_breaks_the_rule_is_seen(rule, cell):
    assert complaints(rule, assemble([*small_chapter(), *[cell] * 6]))


def test_a_term_may_be_named_early_with_the_chapter_that_explains_it():
    cells = [*small_chapter(), new_markdown_cell("Masks hide the future (chapter 03).")]
    assert not complaints(terms_are_explained_before_they_are_used, assemble(cells))


def test_a_term_that_its_chapter_does_not_explain_is_seen():
    cells = [cell for cell in small_chapter() if "**gate**" not in cell.source]
    assert complaints(terms_are_explained_before_they_are_used, assemble(cells))


def test_a_stripped_notebook_and_a_stored_time_are_seen():
    notebook = assemble(small_chapter()).notebook
    notebook.cells[-1].metadata["execution"] = {"iopub.execute_input": "2026-11-23"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
    chapter = Chapter("02_small", nbformat.writes(notebook) + "\n")
    assert complaints(cells_ran_once_from_top_to_bottom, chapter)
    assert complaints(the_file_is_normal, chapter)


def test_every_rule_is_seen_to_be_broken():
    assert {rule for rule, _ in BREAKS} | {cells_ran_once_from_top_to_bottom} == set(RULES)


# Exercises ----------------------------------------------------------------------------------------------------------


def verdicts(chapter: Chapter, between: str = "", old: str = "", new: str = "") -> list[str]:
    """What the checks of a chapter say when only the imports, the promoted cells and the exercises have run.

    Args:
        chapter: whose checks.
        between: code that stands in place of each stub.
        old, new: what to replace in the stubs.
    """
    cells = []
    for cell in chapter.code:
        if has_tag(cell, "imports", "promoted", "check"):
            cells.append(cell.source)
        elif has_tag(cell, "exercise"):
            cells += [cell.source.replace(old, new) if old else cell.source, between]
    done = subprocess.run(
        [sys.executable, "-"],
        input="\n\n".join(cells),
        cwd=NOTEBOOKS,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.split("\n") if line.startswith("Exercise ")]
    assert len(told) == len(chapter.tagged("check")), done.stdout
    return told


@each_chapter
def test_an_empty_stub_is_not_done_yet_and_breaks_nothing(chapter):
    assert [told for told in verdicts(chapter) if "not done yet" not in told] == []


@each_chapter
def test_the_worked_solutions_are_right(chapter):
    solutions = (SOLUTIONS / f"{chapter.name}.py").read_text(encoding="utf-8")
    stubs = {name for source in chapter.tagged("exercise") for name in definitions(source)}
    assert stubs <= set(definitions(solutions))
    assert [told for told in verdicts(chapter, between=solutions) if not told.endswith(": right.")] == []


@each_chapter
def test_a_body_that_does_nothing_is_not_right(chapter):
    told = verdicts(chapter, old="raise NotImplementedError", new="pass")
    assert [line for line in told if ": not yet: " not in line] == []


# The tool -----------------------------------------------------------------------------------------------------------


def notebooks_tool(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, TOOL, *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120
    )


def test_a_second_execution_changes_nothing(tmp_path):
    path = tmp_path / "small.ipynb"
    draw = "import matplotlib.pyplot as plt\n\nplt.figure(figsize=(1, 1))\nplt.plot([1, 2])\nplt.show()"
    nbformat.write(new_notebook(cells=[code("print(1)\nprint(2)"), code(draw)]), path)
    first, second = [(notebooks_tool("execute", path).returncode, path.read_text(encoding="utf-8")) for _ in range(2)]
    assert first == second
    assert first[0] == 0
    stored = nbformat.reads(first[1], as_version=4)
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    assert stored.cells[0].outputs[0].text == "1\n2\n"
    assert shows_figure(stored.cells[1])


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path):
    path = tmp_path / "broken.ipynb"
    nbformat.write(new_notebook(cells=[code("print(1)"), code("1 / 0")]), path)
    before = path.read_bytes()
    done = notebooks_tool("execute", path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert path.read_bytes() == before
