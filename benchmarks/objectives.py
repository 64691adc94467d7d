"""Three objectives on the same tales: a small GPT, an XLNet and a T5, judged by what each of them can do.

    python benchmarks/objectives.py [--steps N] [--seed N] [--json FILE]

All read the same windows of the same tokens, each window once, and have about as many parameters. Each is trained with
three pairs of learning rates, of which the one stays that is best on windows nobody has read. Then the T5 is trained
with shorter windows, and with parts of its task done for it, to see what takes it so long. Chapter 14 shows the record.
"""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from common import ROOT, circumstances, record
from torch import Tensor, nn

from minigpt import tales
from minigpt.corpora import cache_folder, open_corpus
from minigpt.datasets import Batches, Tokens, prepare
from minigpt.evaluation import bits_per_character, floor_bits_per_character, split_documents
from minigpt.runs import load_run
from minigpt.sampling import Sampler, complete
from minigpt.t5 import T5, RelativeBias, T5Config, corrupt, cut
from minigpt.tokenizers import Tokenizer
from minigpt.training import learning_rate_factor
from minigpt.transformer import GPT, GPT2, GPTConfig
from minigpt.xlnet import XLNet, XLNetConfig, order

ROWS, T = 6, 192
SHORT = 64
RATES = ((0.004, 0.004), (0.008, 0.008), (0.004, 0.02))  # of the matrices in the blocks, and of all else
NEAR = 4
TRAIN_CHARACTERS, HELD_OUT_CHARACTERS = 30_000_000, 60_000
SHARE, MEAN_LENGTH, SENTINELS = 0.15, 3.0, 16
GUESSES = 16
Loss = Callable[[nn.Module, Tensor, torch.Generator], Tensor]


def make_gpt(V: int) -> GPT:
    return GPT(GPTConfig(V, T, n_layers=2, n_heads=4, width=64, **GPT2))


def make_xlnet(V: int) -> XLNet:
    return XLNet(XLNetConfig(V, n_layers=2, n_heads=4, width=64, head_width=16, mlp_width=224))


def make_t5(V: int) -> T5:
    return T5(T5Config(V + SENTINELS, 2, 2, n_heads=4, width=44, head_width=11, mlp_width=88, start=V - 1))


def next_token(model: GPT, rows: Tensor, generator: torch.Generator) -> Tensor:
    """Every token from those before it."""
    return model(rows[:, :-1], rows[:, 1:])


def spans_in_any_order(model: XLNet, rows: Tensor, generator: torch.Generator) -> Tensor:
    """15 % of the tokens, in spans, in a random order; the others are given."""
    ranks = []
    for _ in rows:
        places = torch.tensor([1 + place for span in cut(T, SHARE, MEAN_LENGTH, generator) for place in span])
        ranks.append(order(T + 1, places[torch.randperm(len(places), generator=generator)]))
    return model.loss(rows, torch.stack(ranks))


def all_in_any_order(model: XLNet, rows: Tensor, generator: torch.Generator) -> Tensor:
    """All tokens but the first, in a random order."""
    return model.loss(rows, torch.stack([order(T + 1, 1 + torch.randperm(T, generator=generator)) for _ in rows]))


def holes_of(rows: Tensor, sentinels: range, generator: torch.Generator) -> list[Tensor]:
    """Sources and targets: 15 % of the tokens, in spans, written one after the other."""
    length = rows.shape[1] - 1
    pairs = [corrupt(row, cut(length, SHARE, MEAN_LENGTH, generator), sentinels) for row in rows[:, 1:].tolist()]
    return [torch.tensor(side) for side in zip(*pairs, strict=True)]


def spans_in_holes(model: T5, rows: Tensor, generator: torch.Generator) -> Tensor:
    return model.loss(*holes_of(rows, sentinels_of(model), generator))


def sentinels_of(model: T5) -> range:
    return range(model.vocabulary_size - SENTINELS, model.vocabulary_size)


OBJECTIVES: dict[str, tuple[Callable[[int], nn.Module], Loss]] = {
    "GPT": (make_gpt, next_token),
    "XLNet, spans": (make_xlnet, spans_in_any_order),
    "XLNet, all tokens": (make_xlnet, all_in_any_order),
    "T5, spans": (make_t5, spans_in_holes),
}


# What takes T5 so long: with a part of its task done for it, or with shorter windows.


class NearBias(RelativeBias):
    """An encoder's relative bias that shows it nothing but the nearest tokens."""

    def forward(self, queries: int, keys: int) -> Tensor:
        places = torch.arange(keys)
        far = (places - places[keys - queries :, None]).abs() > NEAR
        return super().forward(queries, keys).masked_fill(far, -torch.inf)


class ShownItsHole(T5):
    """A T5 whose decoder sees of the source nothing but the sentinel of the span that it writes."""

    def decode(self, ids: Tensor, sources: list, caches: None = None) -> Tensor:
        now = ids.where(ids >= sentinels_of(self).start, -1).cummax(dim=1).values
        seen = self.source[:, None] == now[..., None]  # (B, T, S)
        seen |= ~seen.any(dim=-1, keepdim=True)  # before the first span, everything
        return super().decode(ids, [(keys, values, seen[:, None]) for keys, values, _ in sources], caches)

    def encode(self, source: Tensor, mask: None = None) -> list:
        self.source = source
        return super().encode(source, mask)


def helped_t5(V: int, hole: bool, near: bool, seed: int) -> T5:
    """A T5 of which one part, both or none is done for it: its decoder's or its encoder's."""
    config = make_t5(V).config
    torch.manual_seed(seed)
    model = ShownItsHole(config) if hole else T5(config)
    if near:
        model.encoder.relative_bias = NearBias(config, both_sides=True)
    return model


# Training ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """One training run.

    Attributes:
        name: of the objective.
        rates: the highest learning rates, of the matrices in the blocks and of all else.
        steps: how many.
        seed: of the weights, of the order of the windows, and of what is hidden in them.
        length: of a window, in tokens; a batch has as many tokens with any.
        hole, near: what is done for a T5.
    """

    name: str
    rates: tuple[float, float]
    steps: int
    seed: int
    length: int = T
    hole: bool = False
    near: bool = False


def texts() -> tuple[Tokens, Tokens]:
    """Tales to train on, and held-out ones."""
    tokenizer = load_run(ROOT / "data/runs/laptop")[1]
    return prepare(open_corpus("tales"), tokenizer, cache_folder(), TRAIN_CHARACTERS, HELD_OUT_CHARACTERS)


def train(task: Task) -> tuple[nn.Module, dict[str, Any]]:
    """Train a model by one objective, and say how that went."""
    torch.set_num_threads(1)
    (tokens, held_out), begun = texts(), time.process_time()
    make, loss_of = OBJECTIVES[task.name]
    V, curve = int(tokens.ids[0]) + 1, []
    torch.manual_seed(task.seed)
    model = helped_t5(V, task.hole, task.near, task.seed) if task.hole or task.near else make(V)
    rows, generator = ROWS * T // task.length, torch.Generator().manual_seed(task.seed)
    data = Batches(tokens, task.length, rows, task.seed)
    groups: tuple[list, list] = ([], [])
    for name, parameter in model.named_parameters():
        groups["blocks" not in name or parameter.ndim < 2].append(parameter)
    optimizer = torch.optim.AdamW([{"params": group} for group in groups], betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(task.steps):
        loss_of(model, data.batch(step), generator).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group, rate in zip(optimizer.param_groups, task.rates, strict=True):
            group["lr"] = rate * learning_rate_factor(step, task.steps, 0.6)
        optimizer.step()
        optimizer.zero_grad()
        if task.name == "T5, spans" and (step + 1) % 100 == 0:
            curve.append([step + 1, first_tokens_right(model, Batches(held_out, task.length, rows, seed=0))])
    seconds = time.process_time() - begun
    unread = range(task.steps, task.steps + 40)
    with torch.inference_mode():
        losses = [loss_of(model, data.batch(step), generator).item() for step in unread]
    facts = {"rates": task.rates, "loss": float(np.mean(losses)), "processor_seconds": seconds, "curve": curve}
    print(f"{task}: loss {facts['loss']:.3f} in {seconds:.0f} s", flush=True)
    return model.eval(), facts


@torch.inference_mode()
def first_tokens_right(model: T5, data: Batches) -> float:
    """Which share of the first tokens of the spans has the highest probability, when all before it is given."""
    generator, right = torch.Generator().manual_seed(0), []
    for step in range(5):
        source, target = holes_of(data.batch(step), sentinels_of(model), generator)
        ids, first = F.pad(target[:, :-1], (1, 0), value=model.config.start), sentinels_of(model).start
        begins = (ids >= first) & (target < first)
        right.append((model(source, ids)[..., :first].argmax(dim=-1) == target)[begins])
    return torch.cat(right).float().mean().item()


# Filling in: a document begins with the end-of-text token, and `spans` of what follows it have been cut out ----------


def places_of(spans: Sequence[range]) -> list[int]:
    """Where the cut-out tokens stand, behind the end-of-text token."""
    return [1 + place for span in spans for place in span]


def gpt_fills(model: GPT, ids: list[int], spans: Sequence[range], guesses: int = 0) -> list[int]:
    """Hole by hole the most probable tokens; or, of some guesses more, those after which the text goes on best."""
    ids, ends = list(ids), [1 + span.start for span in spans[1:]] + [len(ids)]
    for span, end in zip(spans, ends, strict=True):
        first, last = 1 + span.start, 1 + span.stop
        before = torch.tensor([ids[:first]])
        found = complete(model, before, len(span), Sampler(temperature=0))
        if guesses:
            drawn = complete(model, before.expand(guesses, -1), len(span), Sampler(), seed=first)
            found, after = torch.cat([found, drawn]), torch.tensor([ids[last:end]], dtype=torch.long)
            rows = torch.cat([before.expand(len(found), -1), found, after.expand(len(found), -1)], dim=1)
            log_probs = model.log_probs(rows[:, :-1])[:, first - 1 :].gather(2, rows[:, first:, None])
            found = found[log_probs.sum(dim=(1, 2)).argmax()][None]
        ids[first:last] = found[0].tolist()
    return ids


def xlnet_fills(model: XLNet, ids: list[int], spans: Sequence[range]) -> list[int]:
    return model.fill(torch.tensor([ids]), places_of(spans))[0].tolist()


def t5_fills(model: T5, ids: list[int], spans: Sequence[range]) -> list[int]:
    """What the decoder writes when it is told, by the sentinels, when to begin the next span: how long each one is."""
    first = model.vocabulary_size - SENTINELS
    source, target = corrupt(ids[1:], spans, range(first, model.vocabulary_size))
    sources = model.encode(torch.tensor([source]))
    written = [model.config.start]
    for token in target[:-1]:
        best = model.decode(torch.tensor([written]), sources)[0, -1, :first].argmax()
        written.append(token if token >= first else int(best))
    filled, ids = iter([token for token in written[1:] if token < first]), list(ids)
    for place in places_of(spans):
        ids[place] = next(filled)
    return ids


def t5_writes(model: T5, ids: list[int], spans: Sequence[range]) -> list[list[int]]:
    """The spans that the decoder writes when nobody tells it how long they are."""
    first = model.vocabulary_size - SENTINELS
    source, target = corrupt(ids[1:], spans, range(first, model.vocabulary_size))
    found, now = [[] for _ in range(SENTINELS)], []
    for token in model.write(torch.tensor([source]), len(target) + 10)[0].tolist():
        if token >= first:
            now = found[token - first] = []
        else:
            now.append(token)
    return found[: len(spans)]


WAYS: dict[str, tuple[Callable, str]] = {
    "GPT, what comes before": (gpt_fills, "GPT"),
    f"GPT, the best of {GUESSES + 1} guesses": (partial(gpt_fills, guesses=GUESSES), "GPT"),
    "XLNet, spans": (xlnet_fills, "XLNet, spans"),
    "XLNet, all tokens": (xlnet_fills, "XLNet, all tokens"),
    "T5, told how long": (t5_fills, "T5, spans"),
    "T5, not told": (t5_writes, "T5, spans"),
}
Case = tuple[list[int], list[range]]


def spans_of(documents: Sequence[Sequence[int]], end_of_text: int) -> list[Case]:
    """Held-out documents with the same share of holes as in training."""
    generator = torch.Generator().manual_seed(1)
    return [([end_of_text, *document], cut(len(document), SHARE, MEAN_LENGTH, generator)) for document in documents]


def names_told_later(tokenizer: Tokenizer) -> list[Case]:
    """Tales with one hole: the name of one to whom a thing is given, when it could be either of two, and a question at
    the end tells."""
    cases = []
    for index in range(1500):
        text = tales.document("english", "validation", index)
        told = list(re.finditer(r"gave the (\w+ \w+) to(?P<name> \w+)\.", text))
        if not told or f"Where is the {told[-1][1]}? With{told[-1]['name']}." not in text[told[-1].end() :]:
            continue
        trace, (begin, end) = tales.read(text).trace, told[-1].span("name")
        starts = np.cumsum([0, *(len(choice.strings[index]) for choice, index in trace)])
        if len(trace[int(np.searchsorted(starts, begin))][0].strings) == 2:
            before, name = len(tokenizer.encode(text[:begin])), len(tokenizer.encode(text[begin:end]))
            cases.append(([tokenizer.end_of_text, *tokenizer.encode(text)], [range(before, before + name)]))
    return cases


def fill_in(models: dict[str, nn.Module], cases: Sequence[Case]) -> dict[str, Any]:
    """For each way to fill in, which share of the spans, and of their tokens, is that of the text."""
    results = {}
    for way, (fill, name) in WAYS.items():
        begun, spans_right, tokens_right = time.perf_counter(), [], []
        for ids, spans in cases:
            with torch.inference_mode():
                filled = fill(models[name], ids, spans)
            for number, span in enumerate(spans):
                wanted = ids[1 + span.start : 1 + span.stop]
                found = filled[number] if fill is t5_writes else filled[1 + span.start : 1 + span.stop]
                spans_right.append(found == wanted)
                tokens_right += [n < len(found) and found[n] == token for n, token in enumerate(wanted)]
        results[way] = {
            "spans_right": float(np.mean(spans_right)), "tokens_right": float(np.mean(tokens_right)),
            "spans": len(spans_right), "seconds": time.perf_counter() - begun,
        }  # fmt: skip
        print(f"{way:<30} {results[way]}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6000, help="of each training run")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--processes", type=int, default=2, help="how many models to train at once")
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    steps, seed, held_out = arguments.steps, arguments.seed, texts()[1]
    tokenizer = load_run(ROOT / "data/runs/laptop")[1]
    models, training = {}, {}
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        runs = {
            name: [pool.submit(train, Task(name, rates, steps, seed)) for rates in RATES]
            for name in reversed(OBJECTIVES)
        }
        for name in OBJECTIVES:
            tried = [run.result() for run in runs[name]]
            models[name], training[name] = min(tried, key=lambda run: run[1]["loss"])
            training[name]["losses"] = [run[1]["loss"] for run in tried]
            training[name]["parameters"] = sum(parameter.numel() for parameter in models[name].parameters())
            if name != "T5, spans":  # whose decoder never wrote a text from its beginning
                score = bits_per_character(models[name], held_out, tokenizer.end_of_text)
                training[name]["bits_per_character"] = score
        helped = partial(Task, "T5, spans", training["T5, spans"]["rates"])
        trials = {
            "shown its hole": helped(steps // 5, seed, hole=True),
            "only near tokens": helped(steps // 5, seed, near=True),
            "both": helped(steps // 5, seed, hole=True, near=True),
            f"windows of {SHORT}": helped(steps // 2, seed, length=SHORT),
        }
        trials = dict(zip(trials, [facts for _, facts in pool.map(train, trials.values())], strict=True))
    documents = [document.tolist() for document in split_documents(held_out)]
    record(
        arguments.json, seed=seed, steps=steps, tokens=steps * ROWS * T, rows=ROWS, length=T, share=SHARE, rates=RATES,
        floor=floor_bits_per_character([tokenizer.decode(document) for document in documents], "english"),
        training=training, trials=trials,
        filling_in=fill_in(models, spans_of(documents, tokenizer.end_of_text)),
        names=fill_in(models, names_told_later(tokenizer)), **circumstances(["torch", "numpy"]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
