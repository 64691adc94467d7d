"""A run from end to end: corpus, tokeniser, model, training, and what is left in its folder.

config.json       everything that was decided before training
tokenizer.json    the tokeniser, as Hugging Face's library reads it
checkpoint-*      weights and the state of training (`checkpoints`)
log.jsonl         one row an evaluation
loss.png          the log as a curve, with the floor where it is known
samples.txt       what the model writes
summary.json      the figures that matter
"""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch

from minigpt import family, tales
from minigpt.checkpoints import newest_checkpoint
from minigpt.corpora import TALES, Corpus, cache_folder, open_corpus
from minigpt.datasets import beginning, prepare, prepare_split
from minigpt.devices import Process
from minigpt.errors import MinigptError, unknown_name
from minigpt.evaluation import (
    bits_per_character,
    device_of,
    floor_bits_per_character,
    report_on_tales,
    sample_documents,
    split_documents,
    validity,
)
from minigpt.files import read_json, replacing, write_json
from minigpt.ladder import simple_rungs
from minigpt.language_model import LanguageModel
from minigpt.plots import plot_kinds, plot_ladder, plot_log, save
from minigpt.sampling import Sampler, generate
from minigpt.t5 import T5, Answer
from minigpt.tokenizer_files import load_tokenizer, save_tokenizer
from minigpt.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    StreamDecoder,
    Tokenizer,
    train_byte_pairs,
)
from minigpt.training import Progress, Trainer, TrainingConfig, load_weights
from minigpt.transformer import GPT, GPTConfig

SAMPLER = Sampler(temperature=0.5, top_p=0.9)
SAMPLES = 200
TOKENIZER_CHARACTERS = 1_000_000  # byte pairs are learned from the beginning of the corpus


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run does.

    Attributes:
        corpus: a name or path, as `open_corpus` takes it.
        tokenizer: "characters", "bytes", or "bpe-N" for byte pairs with N entries.
        train_characters, validation_characters: how much of an endless corpus to use.
        model: settings of `GPTConfig` but the vocabulary.
        training: how to train.
    """

    corpus: str = "tales"
    tokenizer: str = "bpe-1024"
    train_characters: int = 12_000_000
    validation_characters: int = 150_000
    model: dict[str, Any] = field(default_factory=dict)
    training: TrainingConfig = TrainingConfig(seconds=170, evaluations=8, compile=False)


PRESETS: dict[str, RunConfig] = {
    "cpu-minute": RunConfig(
        model={"n_layers": 2, "n_heads": 4, "width": 128, "context_length": 192},
        training=TrainingConfig(seconds=50, evaluations=4, compile=False),
        train_characters=10_000_000,
        validation_characters=100_000,
    ),
    "laptop": RunConfig(model={"n_layers": 2, "n_heads": 4, "width": 128, "context_length": 192}),
    "one-gpu": RunConfig(
        model={"n_layers": 8, "n_heads": 8, "width": 512, "context_length": 256},
        training=TrainingConfig(
            seconds=570, batch_size=128, micro_batch_size=128, learning_rate=3e-3, evaluations=20, compile=True
        ),
        train_characters=400_000_000,
        validation_characters=1_000_000,
    ),
}


def preset(name: str | None = None) -> RunConfig:
    """A preset by name; the best one for this machine if there is no name.

    Raises:
        MinigptError: there is no preset of that name.
    """
    name = name or ("one-gpu" if torch.cuda.is_available() else "laptop")
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]


def make_tokenizer(name: str, corpus: Corpus) -> Tokenizer:
    """The tokeniser that a configuration names, made from the training split of a corpus.

    Raises:
        MinigptError: there is no such tokeniser.
    """
    if name == "bytes":
        return ByteTokenizer()
    if name == "characters":
        return CharacterTokenizer(corpus.alphabet())
    kind, _, size = name.partition("-")
    if kind != "bpe" or not size.isdigit():
        raise unknown_name("tokenizer", name, ["characters", "bytes", "bpe-1024"])
    return train_byte_pairs(beginning(corpus, "train", TOKENIZER_CHARACTERS), int(size))


def write_config(folder: Path, config: RunConfig) -> None:
    """Write a run's configuration."""
    write_json(folder / "config.json", asdict(config))


def read_config(folder: Path) -> RunConfig:
    """Read a run's configuration.

    Raises:
        MinigptError: it is missing, damaged, or of another version.
    """
    if not (folder / "config.json").exists():
        raise MinigptError(f"there is no run in {folder}; train one with: minigpt train --out {folder}")
    values = read_json(folder / "config.json")
    try:
        return RunConfig(**{**values, "training": TrainingConfig(**values["training"])})
    except (TypeError, KeyError) as error:
        raise MinigptError(f"{folder}/config.json is of another version of minigpt ({error}): train again") from None


def load_run(folder: str | Path, device: torch.device | str = "cpu") -> tuple[GPT, Tokenizer, RunConfig]:
    """The model that a run has trained, with its tokeniser.

    Raises:
        MinigptError: there is no run, or its files are damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    found = newest_checkpoint(folder)
    if found is None:
        raise MinigptError(
            f"the run in {folder} has no checkpoint yet; go on with: minigpt train --resume --out {folder}"
        )
    model = GPT(GPTConfig(vocabulary_size=tokenizer.vocabulary_size, **config.model))
    load_weights(model, found[0])
    return model.to(device).eval(), tokenizer, config


def load_published(folder: Path, device: torch.device) -> tuple[LanguageModel, Tokenizer]:
    """A published model that can write, with its tokeniser.

    Raises:
        MinigptError: it cannot be loaded, or has no tokeniser that we can read.
    """
    model, tokenizer = family.load(folder)
    if tokenizer is None:
        raise MinigptError(
            f"{folder} has no tokenizer.json (nor GPT-2's vocab.json with merges.txt, nor vocab.txt): put there the one"
            " that the model was trained with; transformers can write it for most models that come without"
        )
    return model.to(device), tokenizer


def start_run(folder: Path, config: RunConfig, process: Process, *, resume: bool = False) -> dict[str, Any]:
    """Train what a configuration says, in a folder, and sum up.

    Args:
        folder: where everything is written.
        config: what to do; when resuming, the folder's own is used instead.
        process: this process among those that train together.
        resume: go on from the newest checkpoint, if there is one.

    Returns:
        The summary.

    Raises:
        MinigptError: the folder holds another run, the corpus cannot be used, the disk is full, the loss became NaN ...
    """
    if (folder / "config.json").exists():
        if not resume:
            raise MinigptError(
                f"{folder} holds a run already: go on with it by --resume, or choose another folder with --out"
            )
        config = read_config(folder)
    corpus = open_corpus(config.corpus)
    if (folder / "tokenizer.json").exists():
        tokenizer = load_tokenizer(folder / "tokenizer.json")
    else:
        tokenizer = make_tokenizer(config.tokenizer, corpus)
    train, validation = process.one_after_the_other(
        lambda: prepare(corpus, tokenizer, cache_folder(), config.train_characters, config.validation_characters)
    )
    language = TALES.get(config.corpus)
    texts = [tokenizer.decode(document) for document in split_documents(validation)] if language else []
    floor = floor_bits_per_character(texts, language) if language else None

    torch.manual_seed(config.training.seed)
    model = GPT(GPTConfig(vocabulary_size=tokenizer.vocabulary_size, **config.model)).to(process.device)
    trainer = Trainer(model, train, validation, tokenizer.end_of_text, config.training, folder, process, floor)
    if process.is_first:  # not before here, so that wrong settings leave no folder behind
        save_tokenizer(tokenizer, folder / "tokenizer.json")
        write_config(folder, config)
    if resume:
        trainer.resume()
    progress = trainer.run()
    if not process.is_first:
        return {}
    model.eval()
    return sum_up(folder, model, tokenizer, progress, texts, language)


def sum_up(
    folder: Path, model: GPT, tokenizer: Tokenizer, progress: Progress, texts: list[str], language: str | None
) -> dict[str, Any]:
    """Draw the loss curve, write samples, mark the answers, and leave the figures in `summary.json`."""
    last = progress.log[-1]
    summary = {
        "train_seconds": round(progress.seconds, 1),
        "steps": progress.steps,
        "tokens": last["tokens"],
        "tokens_per_second": last["tokens_per_second"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "validation_bits_per_character": last["validation_bits_per_character"],
    }
    samples = sample_documents(model, tokenizer, SAMPLES if language else 4, SAMPLER)
    if language:
        summary |= tales_figures(model, tokenizer, texts, samples, language)
    summary["circumstances"] = circumstances(device_of(model))
    save(plot_log(progress.log, loss_title(summary)), folder / "loss.png")
    write_samples(folder / "samples.txt", samples, language)
    write_json(folder / "summary.json", summary)
    return summary


def circumstances(device: torch.device) -> dict[str, Any]:
    """The machine and the versions, without which a figure says little."""
    return {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def loss_title(summary: Mapping[str, Any]) -> str:
    """What the loss curve of a run shows."""
    bits, minutes = summary["validation_bits_per_character"], summary["train_seconds"] / 60
    if "gap_bits_per_character" in summary:
        return f"{minutes:.1f} minutes: {summary['gap_bits_per_character']:.3f} bits per character above the floor"
    return f"{minutes:.1f} minutes: {bits:.3f} bits per character on held-out text"


def write_samples(path: Path, samples: list[str], language: str | None) -> None:
    """Write samples to a file, each under a line that says whether it is valid."""
    pieces = []
    for number, text in enumerate(samples, 1):
        pieces.append(f"=== sample {number}{': ' + verdict(text, language) if language else ''} ===\n{text}\n\n")
    with replacing(path) as temporary:
        temporary.write_text("".join(pieces), encoding="utf-8")


def verdict(text: str, language: str) -> str:
    """Whether a text is a valid tale, and if not, where it went wrong."""
    reading = tales.read(text, language)
    if reading.complete:
        return "valid"
    if reading.impossible_at is None:
        return "breaks off"
    at = reading.impossible_at
    return f"impossible from {text[at : at + 20]!r} on, character {at}"


def stream(
    model: LanguageModel, tokenizer: Tokenizer, prompt: str, most_tokens: int, sampler: Sampler, seed: int
) -> Iterator[str]:
    """Let a model go on from a prompt, piece by piece, until the document ends; a T5 answers it.

    Raises:
        MinigptError: the prompt is longer than the model's context, or has a character that its tokeniser does not
        know.
    """
    device, end = device_of(model), [] if tokenizer.end_of_text is None else [tokenizer.end_of_text]
    ids = end + tokenizer.encode(prompt)
    if tokenizer.end_of_text is None:
        prompt = tokenizer.decode(ids)  # as GPT-1 reads it, with a space behind the last word
    if isinstance(model, T5):  # which reads the prompt, and answers
        source = tokenizer.encode(prompt, allow_special=True) + end
        model, ids, prompt = Answer(model, torch.tensor([source], device=device)), [model.config.start], ""
    if not ids:
        raise MinigptError("this model has no token that begins a text: give it a --prompt")
    if model.context_length and len(ids) > model.context_length:
        raise MinigptError(
            f"the prompt has {len(ids) - 1} tokens, but the model's context holds {model.context_length - 1}:"
            " shorten it"
        )
    yield prompt
    decoder = StreamDecoder(tokenizer)
    start = torch.tensor([ids], device=device)
    for token in generate(model, start, most_tokens, sampler, seed=seed, stop=tokenizer.end_of_text):
        if token.item() == tokenizer.end_of_text:
            break
        yield decoder.feed(token.item())
    yield decoder.finish()


def evaluate_run(folder: Path, spec: str | None, characters: int, device: torch.device) -> dict[str, Any]:
    """Score a run's model on all held-out text of a corpus, by default the one that it was trained on.

    The figures go into `evaluation.json` in the run's folder, the ladder into `ladder.png`, and on Tales the loss split
    by kind into `kinds.png`.

    Args:
        folder: the run.
        spec: a corpus, or None.
        characters: how much of an endless corpus.
        device: where to compute.

    Returns:
        what `evaluation.json` holds.
    """
    model, tokenizer, config = load_run(folder, device)
    spec = spec or config.corpus
    corpus = open_corpus(spec)
    validation = prepare_split(corpus, tokenizer, cache_folder(), "validation", characters)
    results: dict[str, Any] = {"corpus": corpus.name, "characters": validation.characters}
    if spec in TALES:
        texts = [tokenizer.decode(document) for document in split_documents(validation)]
        samples = sample_documents(model, tokenizer, SAMPLES, SAMPLER)
        results |= tales_figures(model, tokenizer, texts, samples, TALES[spec])
        save(plot_kinds(results["bits_by_kind"], "What the model has not learned yet"), folder / "kinds.png")
    else:
        results["validation_bits_per_character"] = bits_per_character(model, validation, tokenizer.end_of_text)
    rungs = simple_rungs(corpus, characters) | {"GPT": results["validation_bits_per_character"]}
    title = f"Every model on the same {validation.characters:,} held-out characters"
    save(plot_ladder(rungs, title, results.get("floor_bits_per_character")), folder / "ladder.png")
    results["ladder"] = rungs
    write_json(folder / "evaluation.json", results)
    return results


def tales_figures(
    model: GPT, tokenizer: Tokenizer, texts: list[str], samples: list[str], language: str
) -> dict[str, Any]:
    """What only a language whose truth is known can say about a model.

    Args:
        model, tokenizer: what to judge.
        texts: held-out tales.
        samples: what the model wrote with `SAMPLER`.
        language: "english" or "chinese".
    """
    report = report_on_tales(model, tokenizer, texts, language)
    return {
        "validation_bits_per_character": report.bits_per_character,
        "floor_bits_per_character": report.floor_bits_per_character,
        "gap_bits_per_character": report.gap,
        "answer_accuracy": report.answer_accuracy,
        "questions": report.questions,
        "sample_validity": validity(samples, language),
        "sampler": asdict(SAMPLER),
        "bits_by_kind": report.bits_by_kind,
    }


def describe_evaluation(results: Mapping[str, Any], folder: Path) -> str:
    """An evaluation in words and tables."""
    lines = [f"{results['characters']:,} held-out characters of {results['corpus']}", *in_words(results)]
    if "bits_by_kind" in results:
        lines += ["", f"{'bits per character by kind':28}{'GPT':>8}{'Oracle':>8}{'excess':>8}"]
        kinds = sorted(results["bits_by_kind"].items(), key=lambda item: item[1][1] - item[1][0])
        lines += [f"  {kind:26}{model:8.4f}{oracle:8.4f}{model - oracle:8.4f}" for kind, (model, oracle) in kinds]
    lines += ["", "the ladder, in bits per character:"]
    lines += [f"  {name:26}{bits:8.4f}" for name, bits in results["ladder"].items()]
    figures = [name for name in ("ladder.png", "kinds.png") if name != "kinds.png" or "bits_by_kind" in results]
    return "\n".join([*lines, "", "see " + " and ".join(str(folder / name) for name in figures)])


def in_words(results: Mapping[str, Any]) -> list[str]:
    """How good a model is, a line each."""
    lines = [f"held-out text: {results['validation_bits_per_character']:.4f} bits per character"]
    if "floor_bits_per_character" in results:
        lines += [
            f"the floor, the best that any model could reach: {results['floor_bits_per_character']:.4f}"
            f" (the gap is {results['gap_bits_per_character']:.4f})",
            f"questions answered right: {results['answer_accuracy']:.1%} of {results['questions']:,}",
            f"sampled stories that are valid: {results['sample_validity']:.0%} of {SAMPLES}"
            f" (at temperature {SAMPLER.temperature}, top-p {SAMPLER.top_p})",
        ]
    return lines


def describe(summary: Mapping[str, Any], folder: Path) -> str:
    """A summary in words, after the first two samples."""
    lines = [
        f"trained {summary['parameters']:,} parameters for {summary['train_seconds']:.0f} s"
        f" on {summary['tokens']:,} tokens ({summary['tokens_per_second']:,.0f} a second)",
        *in_words(summary),
    ]
    first = (folder / "samples.txt").read_text(encoding="utf-8").split("\n\n=== ")[:2]
    return "\n".join(["", *("\n\n=== ".join(first)).splitlines(), "", *lines, "", f"see {folder / 'loss.png'}"])
