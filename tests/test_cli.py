"""The command line: what works, and one clear sentence and exit code 2 for what cannot."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from minigpt.cli import main

TINY = "--layers 1 --heads 2 --width 16 --context 64 --batch-size 4 --micro-batch-size 4 --no-compile --steps 6".split()
TINY += ["--evaluations", "2", "--tokenizer", "bytes"]
TEXT = "".join(f"The number after {n} is {n + 1}.\n" for n in range(300))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def succeed(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def fail(*arguments):
    """The one sentence of a command that fails."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("minigpt: ")
    return lines[-1]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    os.environ["MINIGPT_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    output = succeed("train", "-c", text, "--out", folder, *TINY)
    assert "bits per character" in output
    return folder


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


def test_the_program_has_two_names():
    for command in ([sys.executable, "-m", "minigpt"], [Path(sys.executable).with_name("minigpt")]):
        output = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
        assert all(name in output for name in ("train", "sample", "eval", "data"))


def test_train_sample_and_eval_on_tales(tmp_path, monkeypatch):
    monkeypatch.setattr("minigpt.runs.SAMPLES", 3)
    out = tmp_path / "run"
    sizes = [*TINY[:-1], "characters"]
    monkeypatch.setattr("minigpt.runs.TOKENIZER_CHARACTERS", 10_000)
    small_tales(monkeypatch)
    output = succeed("train", "--out", out, *sizes)
    assert "the best that any model could reach" in output
    summary = json.loads((out / "summary.json").read_text())
    assert summary.keys() >= {
        "train_seconds", "tokens_per_second", "parameters", "validation_bits_per_character", "floor_bits_per_character",
        "gap_bits_per_character", "answer_accuracy", "sample_validity",
    }  # fmt: skip
    assert summary["gap_bits_per_character"] == pytest.approx(
        summary["validation_bits_per_character"] - summary["floor_bits_per_character"], abs=1e-6
    )
    assert succeed("sample", "--run", out, "-p", "Once", "--tokens", 20, "-n", 2).count("Once") == 2
    assert "floor" in succeed("eval", "--run", out, "--characters", 3000)
    assert (out / "kinds.png").exists()
    assert (out / "ladder.png").exists()


def small_tales(monkeypatch):
    from dataclasses import replace

    from minigpt import runs

    laptop = replace(runs.PRESETS["laptop"], train_characters=20_000, validation_characters=5_000)
    monkeypatch.setitem(runs.PRESETS, "laptop", laptop)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def test_sampling_is_seeded_and_streams(trained):
    first, again, other = (succeed("sample", "--run", trained, "--seed", s, "--tokens", 30) for s in (1, 1, 2))
    assert first == again != other


def test_min_p_of_1_writes_what_is_most_probable(trained):
    sure, greedy = (
        succeed("sample", "--run", trained, "--tokens", 30, *rule)
        for rule in (["--min-p", 1, "--temperature", 1], ["--temperature", 0])
    )
    assert sure == greedy


def test_eval_takes_other_texts(trained, tmp_path):
    (tmp_path / "other.txt").write_text("Quite another text.\n" * 100)
    assert "bits per character" in succeed("eval", "--run", trained, "-c", tmp_path / "other.txt")


def test_data(text):
    assert "tinyshakespeare" in succeed("data")
    assert "Once upon a time" in succeed("data", "tales", "--characters", 3000)
    assert succeed("data", text, "--characters", 50).startswith(TEXT[:50])


# What cannot be done


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["train", "--preset", "labtop"], "did you mean laptop"),
        (["train", "-c", "tinyshakespear"], "did you mean tinyshakespeare"),
        (["train", "-c", "missing.txt"], "no files at"),
        (["train", "--tokenizer", "bpe"], "no tokenizer 'bpe'"),
        (["train", "--steps", "0"], "steps is 0, but must be positive"),
        (["train", "--heads", "3"], "cannot be shared among 3 heads"),
        (["sample", "--run", "nowhere"], "there is no run in nowhere; train one with"),
        (["sample", "--top-k", "0"], "k must be at least 1"),
        (["sample", "--top-p", "1.5"], "at most 1"),
        (["sample", "--min-p", "1.5"], "from 0 to 1, not 1.5"),
        (["sample", "--temperature", "-1"], "must be 0 or more"),
        (["eval", "--run", "nowhere"], "there is no run in nowhere"),
        (["data", "englisch"], "there is no corpus"),
    ],
)
def test_impossible_arguments(tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    assert complaint in fail(*arguments)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"\0\1\2", "binary file"), (b"\xff\xfe\xfd" * 99, "not UTF-8"), (b"Too short.", "too short")],
)
def test_texts_that_cannot_be_used(tmp_path, content, complaint):
    (tmp_path / "text.txt").write_bytes(content)
    assert complaint in fail("train", "-c", tmp_path / "text.txt", "--out", tmp_path / "run", *TINY)


def test_a_run_is_not_overwritten(copied, text):
    assert "holds a run already" in fail("train", "-c", text, "--out", copied, *TINY)


def test_a_prompt_longer_than_the_context(trained):
    assert "the prompt has 100 tokens, but the model's context holds 63" in fail(
        "sample", "--run", trained, "-p", "x" * 100
    )


def test_a_prompt_outside_the_vocabulary(tmp_path, text):
    succeed("train", "-c", text, "--out", tmp_path / "run", *TINY[:-1], "characters")
    assert "Z" in fail("sample", "--run", tmp_path / "run", "-p", "Zebra")


def newest(folder):
    return max(folder.glob("checkpoint-*"))


@pytest.mark.filterwarnings("ignore:.*damaged")
def test_damaged_checkpoints(copied):
    for path in copied.glob("checkpoint-*"):
        path.write_bytes(path.read_bytes()[:-10])
    assert "is damaged" in fail("sample", "--run", copied)
    assert "is damaged" in fail("train", "--resume", "--out", copied)


def test_a_checkpoint_of_another_model(copied):
    config = json.loads((copied / "config.json").read_text())
    config["model"]["width"] = 32
    (copied / "config.json").write_text(json.dumps(config))
    assert "of another model" in fail("sample", "--run", copied)


def test_a_configuration_of_another_version(copied):
    config = json.loads((copied / "config.json").read_text())
    config["training"]["momentum"] = 0.9
    (copied / "config.json").write_text(json.dumps(config))
    assert "another version" in fail("sample", "--run", copied)
    (copied / "config.json").write_text("{")
    assert "is damaged" in fail("sample", "--run", copied)


def test_a_run_without_a_checkpoint(copied):
    for path in copied.glob("checkpoint-*"):
        path.unlink()
    assert "has no checkpoint yet" in fail("sample", "--run", copied)


def test_a_full_disk(tmp_path, text, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in fail("train", "-c", text, "--out", tmp_path / "run", *TINY)


def test_a_folder_that_cannot_be_written(tmp_path, text):
    (tmp_path / "file").write_text("in the way")
    assert "could not write" in fail("train", "-c", text, "--out", tmp_path / "file" / "run", *TINY)


def test_a_gpt2_is_trained_exported_and_writes(text, tmp_path):
    succeed("train", "-c", text, "--out", tmp_path / "run", "--recipe", "gpt2", *TINY)
    assert "transformers loads" in succeed("export", "--run", tmp_path / "run", "--out", tmp_path / "published")
    assert {path.name for path in (tmp_path / "published").iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json",
    }  # fmt: skip
    options = ("--prompt", "The number", "--tokens", 20)
    assert succeed("sample", "--model", tmp_path / "published", *options) == (
        succeed("sample", "--run", tmp_path / "run", *options)
    )


def test_what_cannot_be_exported_or_loaded(trained, tmp_path):
    assert "--recipe gpt2" in fail("export", "--run", trained, "--out", tmp_path)
    assert "there is no file" in fail("sample", "--model", tmp_path)
    tiny = Path(__file__).resolve().parents[1] / "data" / "gpt2-tiny"
    assert "put there the one that the model was trained with" in fail("sample", "--model", tiny)
