"""Training and generating: our GPT beside those of `transformers` and `x-transformers`, of one size, in one run.

    pip install transformers x-transformers
    python benchmarks/gpt.py [--json FILE]

All are GPT-2's block with its sizes (x-transformers' differs in details), on the same device, in float32, not compiled.
A training step is forward, backward and fused AdamW; generation is greedy with a key-value cache. They take turns, and
the best turn counts.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from common import best_of_turns, circumstances, record
from torch import Tensor
from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

from minigpt.devices import best_device
from minigpt.sampling import Sampler, complete
from minigpt.transformer import GPT, GPT2, GPTConfig

SIZES = {
    "4 layers of width 128": {"T": 256, "V": 1024, "n_layers": 4, "n_heads": 4, "width": 128, "batch": 8},
    "6 layers of width 384": {"T": 256, "V": 1024, "n_layers": 6, "n_heads": 6, "width": 384, "batch": 8},
}
TURNS, STEPS, NEW_TOKENS = 3, 10, 200

Model = tuple[Any, Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]


def ours(size: dict) -> Model:
    """Ours: the model, its loss of (inputs, targets), and its greedy continuation of a prompt."""
    model = GPT(GPTConfig(size["V"], size["T"], size["n_layers"], size["n_heads"], size["width"], **GPT2))
    return model, model, lambda prompt: complete(model, prompt, NEW_TOKENS, Sampler(temperature=0))


def hugging_face(size: dict) -> Model:
    """The same of `transformers`."""
    config = transformers.GPT2Config(
        vocab_size=size["V"], n_positions=size["T"], n_embd=size["width"], n_layer=size["n_layers"],
        n_head=size["n_heads"], resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(inputs).logits.flatten(0, 1), targets.flatten())

    def generate(prompt: Tensor) -> Tensor:
        mask = torch.ones_like(prompt)
        return model.generate(prompt, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False, use_cache=True)

    return model, loss, generate


def lucidrains(size: dict) -> Model:
    """The same of `x-transformers`."""
    layers = Decoder(
        dim=size["width"], depth=size["n_layers"], heads=size["n_heads"],
        attn_dim_head=size["width"] // size["n_heads"], attn_flash=True,
    )  # fmt: skip
    model = TransformerWrapper(num_tokens=size["V"], max_seq_len=size["T"], attn_layers=layers, tie_embedding=True)
    wrapper = AutoregressiveWrapper(model)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    return model, loss, lambda prompt: wrapper.generate(prompt, NEW_TOKENS, temperature=0.0, cache_kv=True)


LIBRARIES = {"minigpt": ours, "transformers": hugging_face, "x-transformers": lucidrains}


def wait(device: torch.device) -> None:
    """Let a GPU finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def training(make: Callable, size: dict, device: torch.device) -> Callable:
    """Some training steps of a library, ready to go."""
    torch.manual_seed(0)
    model, loss, _ = make(size)
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=device.type in ("cpu", "cuda"))
    rows = torch.randint(size["V"], (size["batch"], size["T"] + 1), device=device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(rows[:, :-1], rows[:, 1:]).backward()
        optimizer.step()

    def work() -> None:
        for _ in range(STEPS):
            step()
        wait(device)

    step()
    wait(device)
    return work


def generating(make: Callable, size: dict, device: torch.device, batch: int) -> Callable:
    """Generation by a library, ready to go."""
    torch.manual_seed(0)
    model, _, generate = make(size)
    model.to(device).eval()
    prompt = torch.randint(size["V"], (batch, 16), device=device)

    @torch.inference_mode()
    def work() -> None:
        generate(prompt)
        wait(device)

    work()
    return work


def measure(device: torch.device) -> list[dict[str, Any]]:
    """All rows of the table."""
    rows = []
    for name, size in SIZES.items():
        tasks: dict[str, tuple[int, Callable]] = {
            f"train, {name}": (
                STEPS * size["batch"] * size["T"],
                lambda make, size=size: training(make, size, device),
            )
        }
        for batch in (1, 32):
            tasks[f"generate {batch} at a time, {name}"] = (
                batch * NEW_TOKENS,
                lambda make, size=size, batch=batch: generating(make, size, device, batch),
            )
        for task, (tokens, prepare) in tasks.items():
            makers = {library: lambda make=make, prepare=prepare: prepare(make) for library, make in LIBRARIES.items()}
            best = best_of_turns(makers, TURNS)
            for library, (seconds, _) in best.items():
                ratio = best["minigpt"][0] / seconds
                rows.append(
                    {"task": task, "library": library, "tokens_per_second": tokens / seconds, "times_ours": ratio}
                )
                print("{task:<46}{library:<16}{tokens_per_second:>10,.0f}{times_ours:>8.2f}".format(**rows[-1]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="also write the table, the machine and the versions here")
    arguments = parser.parse_args()
    device = best_device()
    where = circumstances(["torch", "transformers", "x-transformers"]) | {"device": str(device)}
    print(f"{'task':<46}{'library':<16}{'tokens/s':>10}{'ours=1':>8}")
    record(arguments.json, **where, rows=measure(device))


if __name__ == "__main__":
    main()
