"""The ladder's early rungs on three texts: the networks of chapters 01, 02, 03 and 05, each with the same time.

    python benchmarks/early_rungs.py [--seconds 40] [--json data/runs/early_rungs.json]

All work on characters, and are judged on the held-out text that `benchmarks/same_time.py` uses. What is done stays in
runs/early_rungs, so the benchmark can be interrupted and called again. It takes about twelve minutes on one core.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from common import ROOT, SHARED, circumstances, record
from torch import Tensor, nn

from minigpt.attention import AttentionLanguageModel
from minigpt.corpora import TALES, cache_folder, open_corpus
from minigpt.datasets import Tokens, prepare
from minigpt.evaluation import bits_per_character
from minigpt.files import read_json, write_json
from minigpt.language_model import LanguageModel
from minigpt.perceptron import NextTokenNeurons
from minigpt.recurrent import RecurrentLanguageModel
from minigpt.tokenizers import CharacterTokenizer
from minigpt.training import learning_rate_factor

TEXTS = {"English tales": "tales", "Chinese tales": "tales-zh", "Shakespeare": "tinyshakespeare"}
CHARACTERS = 2_000_000, 150_000  # to train on (of an endless corpus), and held out
SEEN, ROWS, LENGTH, LEARNING_RATE = 10, 32, 96, 0.005


class HiddenLayer(nn.Module, LanguageModel):
    """The network of chapter 05: a hidden layer that reads the last tokens (Bengio et al. 2003), here in PyTorch."""

    def __init__(self, vocabulary_size: int, end_of_text: int, width: int = 24, hidden: int = 200):
        super().__init__()
        self.vocabulary_size, self.end_of_text = vocabulary_size, end_of_text
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.hidden = nn.Linear(SEEN * width, hidden)
        self.head = nn.Linear(hidden, vocabulary_size)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(ids).flatten(0, 1), targets.flatten())

    def logits(self, ids: Tensor) -> Tensor:
        seen = F.pad(ids, (SEEN - 1, 0), value=self.end_of_text).unfold(1, SEEN, 1)  # (B, T, SEEN)
        return self.head(self.hidden(self.embedding(seen).flatten(2)).tanh())

    @torch.inference_mode()
    def log_probs(self, ids: Tensor) -> Tensor:
        return self.logits(ids).log_softmax(dim=-1)


MODELS: dict[str, Callable[[int, int], LanguageModel]] = {
    "neurons that see 8 (01)": lambda V, end: NextTokenNeurons(V, 8),
    "Elman network (02)": lambda V, end: RecurrentLanguageModel(V, 128, "elman"),
    "GRU (02)": lambda V, end: RecurrentLanguageModel(V, 128, "gru"),
    "one layer of attention (03)": lambda V, end: AttentionLanguageModel(V, LENGTH, 64, 8),
    "hidden layer that sees 10 (05)": lambda V, end: HiddenLayer(V, end),
}


def train(model: LanguageModel, train_set: Tokens, seconds: float) -> None:
    """Train for so many seconds of this process's own time, whatever else the machine does."""
    ids = torch.from_numpy(train_set.ids[:].astype("int64"))
    rows = ids[: len(ids) // (LENGTH + 1) * (LENGTH + 1)].view(-1, LENGTH + 1)
    start = time.process_time()
    if isinstance(model, NextTokenNeurons):
        steps = 20
        model.learn(rows, steps=steps, rows=ROWS)  # to know the pace
        steps = int(seconds * steps / (time.process_time() - start))
        model.learn(rows, steps=steps, rows=ROWS)
        return
    optimizer = torch.optim.Adam(model.parameters())
    step, steps = 0, 10**9
    while step < steps:
        starts = torch.randint(len(ids) - LENGTH, (ROWS, 1))
        windows = ids[starts + torch.arange(LENGTH + 1)]  # (ROWS, LENGTH + 1)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * learning_rate_factor(step, steps, decay=0.6)
        loss = model(windows[:, :-1], windows[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step in (20, 60):  # by now the pace is known
            spent = time.process_time() - start
            steps = step + int((seconds - spent) / (spent / step))


def rung(text: str, name: str, seconds: float) -> float:
    """Bits per character of one model on one text."""
    torch.manual_seed(0)
    path = SHARED / "corpora" / "tinyshakespeare.txt"
    spec = TEXTS[text] if TEXTS[text] in TALES or not path.exists() else str(path)
    corpus = open_corpus(spec)
    tokenizer = CharacterTokenizer(corpus.alphabet())
    train_set, validation = prepare(corpus, tokenizer, cache_folder(), *CHARACTERS)
    model = MODELS[name](tokenizer.vocabulary_size, tokenizer.end_of_text)
    train(model, train_set, seconds)
    return bits_per_character(model, validation, tokenizer.end_of_text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=40, help="of training, for each model")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "early_rungs", help="where results stay")
    parser.add_argument("--most", type=int, default=math.inf, help="stop after so many models")
    parser.add_argument("--json", type=Path, help="write all results, the machine and the versions here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    about = circumstances(["torch", "numpy"])
    rungs: dict[str, dict[str, float]] = {text: {} for text in TEXTS}
    for number, (text, name) in enumerate((text, name) for name in MODELS for text in TEXTS):
        result = arguments.folder / f"{number}.json"
        if not result.exists():
            if arguments.most < 1:
                return
            arguments.most -= 1
            write_json(result, rung(text, name, arguments.seconds))
        rungs[text][name] = read_json(result)
        print(f"{text:<16}{name:<32}{rungs[text][name]:.4f} bits per character", flush=True)
    record(arguments.json, **about, seconds=arguments.seconds, rungs=rungs)


if __name__ == "__main__":
    main()
