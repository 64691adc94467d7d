"""The command line: `minigpt train`, `sample`, `eval`, `export`, `data`, `assign` and `grade`.

It only reads options and prints; the work is done elsewhere.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from minigpt.errors import MinigptError

RUN = click.Path(file_okay=False, path_type=Path)


class Commands(click.Group):
    """A group whose commands end with one clear sentence and exit code 2 when the input is wrong."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(context)
        except MinigptError as error:
            print(f"minigpt: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            print("minigpt: interrupted", file=sys.stderr)
        except BrokenPipeError:  # `minigpt sample | head`
            sys.stderr.close()
        context.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="minigpt")
def main() -> None:
    """Train a GPT on a language whose entropy is known, and see how close it comes."""


@main.command()
@click.option("--preset", help="cpu-minute, laptop or one-gpu; by default what suits this machine.")
@click.option("--corpus", "-c", help="tales, tales-zh, pydoc, a registered name, or a file, folder or glob.")
@click.option("--tokenizer", help="characters, bytes, or bpe-N for byte pairs with N entries.")
@click.option("--out", type=RUN, default=Path("runs/default"), help="The run's folder.")
@click.option("--resume", is_flag=True, help="Go on with the run in that folder.")
@click.option("--steps", type=int, help="Take this many steps.")
@click.option("--seconds", type=float, help="Or: take as many steps as fit into this time.")
@click.option("--batch-size", type=int, help="Windows in a step.")
@click.option("--micro-batch-size", type=int, help="Windows that fit into memory at once.")
@click.option("--learning-rate", type=float, help="AdamW's.")
@click.option("--muon-learning-rate", type=float, help="Muon's.")
@click.option("--evaluations", type=int, help="How often to evaluate and to write a checkpoint.")
@click.option("--compile/--no-compile", default=None, help="Use torch.compile where a compiler is present.")
@click.option("--seed", type=int, help="Of the weights and the order of the data.")
@click.option("--recipe", type=click.Choice(["modern", "gpt2"]), default="modern", help="How a block is built.")
@click.option("--layers", "n_layers", type=int, help="Blocks.")
@click.option("--heads", "n_heads", type=int, help="Attention heads in a block.")
@click.option("--width", type=int, help="Width of the residual stream, D.")
@click.option("--context", "context_length", type=int, help="Longest context, T, in tokens.")
def train(preset: str | None, out: Path, resume: bool, recipe: str, **options: Any) -> None:
    """Train a GPT; write its checkpoints, figures and samples to a folder."""
    from minigpt import runs
    from minigpt.devices import processes
    from minigpt.transformer import GPT2

    given = {name: value for name, value in options.items() if value is not None}
    config = runs.preset(preset)
    changes: dict[str, Any] = {name: given.pop(name) for name in ("corpus", "tokenizer") if name in given}
    model = {name: given.pop(name) for name in ("n_layers", "n_heads", "width", "context_length") if name in given}
    model |= GPT2 if recipe == "gpt2" else {}
    if "steps" in given and "seconds" not in given:
        given["seconds"] = None
    elif "seconds" in given:
        given["steps"] = None
    config = replace(config, **changes, model=config.model | model, training=replace(config.training, **given))
    with processes() as process:
        summary = runs.start_run(out, config, process, resume=resume)
    if summary:
        click.echo(runs.describe(summary, out))


@main.command()
@click.option(
    "--out", "--run", "-r", "folder", type=RUN, default=Path("runs/default"), help="The run whose model writes."
)
@click.option("--model", type=RUN, help="Or: a folder with a published model, such as GPT-2.")
@click.option("--prompt", "-p", default="", help="How the text begins.")
@click.option("--count", "-n", default=1, help="How many texts.")
@click.option("--tokens", default=400, help="At most this many tokens each.")
@click.option("--temperature", default=0.5, help="Below 1 safer, above 1 bolder; 0 takes the most probable.")
@click.option("--top-k", type=int, help="Choose among the k most probable tokens.")
@click.option("--top-p", default=0.9, help="Choose among the most probable tokens that together have probability p.")
@click.option("--min-p", type=float, help="Choose among tokens at least this many times as probable as the best.")
@click.option("--seed", default=0, help="The same seed, the same text.")
def sample(folder: Path, model: Path | None, prompt: str, count: int, tokens: int, seed: int, **rules: Any) -> None:
    """Let a trained model write, and watch it."""
    from minigpt.devices import best_device
    from minigpt.runs import load_published, load_run, stream
    from minigpt.sampling import Sampler

    sampler = Sampler(**rules)
    device = best_device()
    writer, tokenizer = load_published(model, device) if model else load_run(folder, device)[:2]
    for number in range(count):
        for piece in stream(writer, tokenizer, prompt, tokens, sampler, seed + number):
            click.echo(piece, nl=False)
        click.echo("\n" if number + 1 < count else "")


@main.command()
@click.option("--run", "-r", "folder", type=RUN, default=Path("runs/default"), help="The run whose model to write.")
@click.option("--out", type=RUN, required=True, help="The folder to write it to.")
def export(folder: Path, out: Path) -> None:
    """Write a model of GPT-2's recipe as others read it: config.json, model.safetensors, tokenizer.json."""
    from minigpt.family import export
    from minigpt.runs import load_run

    model, tokenizer, _ = load_run(folder)
    export(model, tokenizer, out)
    click.echo(f"{out} is a GPT-2 that transformers loads with AutoModelForCausalLM.from_pretrained({str(out)!r})")


@main.command("eval")
@click.option("--out", "--run", "-r", "folder", type=RUN, default=Path("runs/default"), help="The run to evaluate.")
@click.option("--corpus", "-c", help="Held-out text of this corpus instead of the run's own.")
@click.option("--characters", default=150_000, help="How many characters of an endless corpus.")
def evaluate(folder: Path, corpus: str | None, characters: int) -> None:
    """Score a trained model on all held-out text: bits per character, and on Tales how far from the best."""
    from minigpt.devices import best_device
    from minigpt.runs import describe_evaluation, evaluate_run

    click.echo(describe_evaluation(evaluate_run(folder, corpus, characters, best_device()), folder))


@main.command()
@click.argument("corpus", required=False)
@click.option("--split", type=click.Choice(["train", "validation"]), default="train")
@click.option("--characters", default=2000, help="How much to show.")
def data(corpus: str | None, split: str, characters: int) -> None:
    """List the corpora; or fetch one by name (or path) and show how it begins."""
    from minigpt.corpora import describe_corpora, open_corpus

    if corpus is None:
        click.echo(describe_corpora())
        return
    left = characters
    for document in open_corpus(corpus).documents(split):
        for piece in document:
            click.echo(piece[:left], nl=False)
            left -= len(piece[:left])
            if not left:
                click.echo()
                return
        click.echo(f"\n{'-' * 20}")  # between documents


@main.command()
@click.argument("name")
@click.option("--out", type=RUN, required=True, help="The folder to write to.")
def assign(name: str, out: Path) -> None:
    """Make the hand-out of a chapter or an assignment, such as 03: for learners, for you, for other graders."""
    from minigpt.assignments import find_assignment, hand_out

    learners, solved, tests = hand_out(find_assignment(name), out)
    click.echo(f"for learners: {learners}\nsolved, for you and nbgrader: {solved}\nfor otter-grader: {tests}")


@main.command()
@click.argument("submissions", type=RUN)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("grades.csv"), help="The table.")
@click.option("--assignment", help="Such as 03; by default what the notebooks say they are.")
@click.option("--seconds", default=10.0, help="What each cell and each exercise may take.")
@click.option("--memory", default=2048, help="What a learner's code may take, in MB.")
@click.option("--processes", default=2, help="How many submissions to grade at once.")
@click.option("--seed", default=0, help="Of the checks' inputs: the same seed, the same grades.")
def grade(
    submissions: Path, out: Path, assignment: str | None, seconds: float, memory: int, processes: int, seed: int
) -> None:
    """Grade a folder of notebooks, one a learner: a table, and a page of feedback for each."""
    from minigpt import grading
    from minigpt.assignments import find_assignment
    from minigpt.sandbox import Limits, missing_protection

    if missing_protection():
        click.echo(f"Warning: {missing_protection()}", err=True)
    handed_in = grading.find_submissions(submissions)
    task = find_assignment(assignment) if assignment else grading.which_assignment(handed_in)
    limits = Limits(seconds=seconds, memory=memory << 20)
    reports = grading.grade_class(handed_in, task, limits, seed, processes)
    grading.write_grades(out, task, reports)
    for report in reports:
        grading.write_feedback(out.with_name(f"{out.stem}_feedback"), task, report)
    click.echo(f"{grading.describe(task, reports)}\n{out}, {out.stem}_feedback/")
    if grading.write_leaderboard(out.with_name(f"{out.stem}_leaderboard.csv"), reports):
        click.echo(f"{out.stem}_leaderboard.csv")


if __name__ == "__main__":
    main()
