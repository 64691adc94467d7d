"""Three objectives on the same tales: a small GPT, an XLNet and a T5, judged by what each of them can do.

    python benchmarks/objectives.py [--steps N] [--json FILE]

All read the same windows of the same tokens, as many of them, and have about as many parameters. The learning rates are
the best of two or three in short trials. Chapter 14 shows the record.
"""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import ROOT, circumstances, record
from torch import Tensor, nn
from tqdm.auto import tqdm

from minigpt import tales
from minigpt.corpora import cache_folder, open_corpus
from minigpt.datasets import Batches, prepare
from minigpt.evaluation import bits_per_character, floor_bits_per_character, split_documents
from minigpt.runs import load_run
from minigpt.sampling import Sampler, complete
from minigpt.t5 import T5, T5Config, corrupt, cut
from minigpt.tokenizers import Tokenizer
from minigpt.training import learning_rate_factor
from minigpt.transformer import GPT, GPT2, GPTConfig
from minigpt.xlnet import XLNet, XLNetConfig, order

ROWS, T = 6, 192
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


def spans_in_holes(model: T5, rows: Tensor, generator: torch.Generator) -> Tensor:
    """15 % of the tokens, in spans, written one after the other."""
    sentinels = range(model.vocabulary_size - SENTINELS, model.vocabulary_size)
    pairs = [corrupt(row, cut(T, SHARE, MEAN_LENGTH, generator), sentinels) for row in rows[:, 1:].tolist()]
    return model.loss(*(torch.tensor(side) for side in zip(*pairs, strict=True)))


OBJECTIVES: dict[str, tuple[Callable[[int], nn.Module], Loss, float]] = {  # the last one is the learning rate
    "GPT": (make_gpt, next_token, 0.01),
    "XLNet, spans": (make_xlnet, spans_in_any_order, 0.006),
    "XLNet, all tokens": (make_xlnet, all_in_any_order, 0.006),
    "T5, spans": (make_t5, spans_in_holes, 0.012),
}


def train(name: str, steps: int, data: Batches) -> nn.Module:
    """Train a model by one objective."""
    make, loss_of, rate = OBJECTIVES[name]
    torch.manual_seed(0)
    model, generator = make(int(data.ids[0]) + 1), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(steps):
        loss_of(model, data.batch(step), generator).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * learning_rate_factor(step, steps, 0.6)
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@torch.inference_mode()
def held_out_loss(name: str, model: nn.Module, batches: Batches) -> float:
    """The mean loss by its own objective, in nats a predicted token."""
    generator = torch.Generator().manual_seed(0)
    return float(np.mean([OBJECTIVES[name][1](model, batches.batch(step), generator).item() for step in range(20)]))


# Filling in: a document begins with the end-of-text token, and `spans` of what follows it have been cut out.


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
    parser.add_argument("--steps", type=int, default=800, help="of each training run")
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    tokenizer = load_run(ROOT / "data/runs/laptop")[1]
    end_of_text = tokenizer.end_of_text
    data, held_out = prepare(open_corpus("tales"), tokenizer, cache_folder(), 3_000_000, 60_000)
    models, training = {}, {}
    for name, (_, _, rate) in tqdm(OBJECTIVES.items()):
        begun = time.perf_counter(), time.process_time()
        model = models[name] = train(name, arguments.steps, Batches(data, T, ROWS, seed=0))
        training[name] = {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "learning_rate": rate,
            "seconds": time.perf_counter() - begun[0],
            "processor_seconds": time.process_time() - begun[1],
            "held_out_loss": held_out_loss(name, model, Batches(held_out, T, ROWS, seed=0)),
        }
        if name != "T5, spans":  # whose decoder never wrote a text from its beginning
            training[name]["bits_per_character"] = bits_per_character(model, held_out, end_of_text)
        print(f"{name:<20} {training[name]}", flush=True)
    documents = [document.tolist() for document in split_documents(held_out)]
    texts = [tokenizer.decode(document) for document in documents]
    record(
        arguments.json, steps=arguments.steps, tokens=arguments.steps * ROWS * T, rows=ROWS, length=T, share=SHARE,
        floor=floor_bits_per_character(texts, "english"), training=training,
        filling_in=fill_in(models, spans_of(documents, end_of_text)),
        names=fill_in(models, names_told_later(tokenizer)), **circumstances(["torch", "numpy"]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
