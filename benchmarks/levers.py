"""What compiling, sixteen bits and smaller pieces change in the speed of training: one step of one small GPT.

    python benchmarks/levers.py [--json data/runs/levers.json] [--width 128]

On a GPU the time on the clock is measured; on a CPU the process's own time on one core, so that other programs disturb
little. Each way takes turns with the others, and its best step counts. It takes about two minutes.
"""

import argparse
import contextlib
import math
import time
from pathlib import Path

import torch
from common import circumstances, record

from minigpt.devices import best_device
from minigpt.transformer import GPT, GPTConfig

V, T, ROWS, TURNS = 1024, 192, 6, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--json", type=Path, help="write the figures, the machine and the versions here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = best_device()
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    where = circumstances(["torch"])
    torch.manual_seed(0)
    model = GPT(GPTConfig(V, T, n_layers=2, n_heads=4, width=arguments.width)).to(device)
    rows = torch.randint(V, (ROWS, T + 1), device=device)
    compiled = torch.compile(model, dynamic=False)
    half = torch.autocast(device.type, torch.bfloat16)
    ways = {
        "float32, as it is": (model, contextlib.nullcontext(), ROWS),
        "in pieces of one row": (model, contextlib.nullcontext(), 1),
        "compiled": (compiled, contextlib.nullcontext(), ROWS),
        "bfloat16": (model, half, ROWS),
        "bfloat16, compiled": (compiled, half, ROWS),
    }

    def step(way: str) -> float:
        """Seconds for the gradient of one batch."""
        network, numbers, piece_rows = ways[way]
        start = clock()
        for piece in rows.split(piece_rows):
            with numbers:
                loss = network(piece[:, :-1], piece[:, 1:])
            (loss * len(piece) / ROWS).backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    first, best = {}, dict.fromkeys(ways, math.inf)
    for way in ways:
        first[way] = step(way)  # compiling, if need be
    for _ in range(TURNS):
        for way in ways:
            best[way] = min(best[way], step(way))
    table = [
        {"way": way, "tokens_per_second": ROWS * T / best[way], "seconds_of_the_first_step": first[way]} for way in ways
    ]
    for row in table:
        print(
            "{way:<22}{tokens_per_second:>10,.0f} tokens a second; first step {seconds_of_the_first_step:.1f} s".format(
                **row
            )
        )
    record(arguments.json, **where, device=device.type, width=arguments.width, rows=table)


if __name__ == "__main__":
    main()
