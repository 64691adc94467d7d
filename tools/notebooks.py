"""Execute the notebooks of the course and its assignments, or render them as pages to look at.

Executing stores what the cells print and draw, in one normal form, so that a second execution changes nothing.
"""

import os
import re
from pathlib import Path

import click
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from minigpt.files import replacing

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
ALL = [*sorted(NOTEBOOKS.glob("*.ipynb")), *sorted((ROOT / "assignments").glob("*.ipynb"))]
PAGES = ROOT / "build" / "pages"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"
SECONDS_A_CELL = 180


@click.group()
def main() -> None:
    """Work on the course's notebooks: all of them, or those that you name."""


@main.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def execute(files: tuple[Path, ...]) -> None:
    """Run notebooks from top to bottom in fresh kernels, and store their outputs."""
    os.environ.pop("MPLBACKEND", None)  # a fixed backend would keep the kernels from showing figures
    for path in files or ALL:
        click.echo(f"executing {path}")
        notebook = nbformat.read(path, as_version=4)
        try:
            run(notebook)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise click.ClickException(f"{path} is left as it was, because a cell failed.\n{error}") from None
        write(normalise(notebook), path)


@main.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def render(files: tuple[Path, ...]) -> None:
    """Write notebooks as HTML pages into build/pages."""
    for path in files or ALL:
        html, _ = HTMLExporter(embed_images=True).from_notebook_node(nbformat.read(path, as_version=4))
        page = PAGES / f"{path.stem}.html"
        with replacing(page) as temporary:
            temporary.write_text(re.sub(r'(href="[\w./-]+)\.ipynb', r"\1.html", html), encoding="utf-8")
        click.echo(page)


def run(notebook: NotebookNode) -> None:
    """Execute all cells, in this interpreter's own environment and in the folder of the notebooks."""
    # With no folders to search, "python3" means this Python and not a kernel of that name that somebody installed.
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    NotebookClient(
        notebook,
        km=manager,
        timeout=SECONDS_A_CELL,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    ).execute()


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The notebook without whatever differs between machines and days: only tags, sources, ids and outputs stay."""
    normal = nbformat.from_dict({**notebook, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5})
    for cell in normal.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":  # a widget without its kernel cannot be shown, and its name is new each time
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    return normal


def write(notebook: NotebookNode, path: Path) -> None:
    """Write the notebook, whole or not at all."""
    nbformat.validate(notebook)
    with replacing(path) as temporary:
        nbformat.write(notebook, temporary)


if __name__ == "__main__":
    main()
