"""Back-propagation: our engine beside micrograd's, the same network in one process.

    python -m venv /tmp/micrograd && /tmp/micrograd/bin/pip install micrograd numpy
    PYTHONPATH=. /tmp/micrograd/bin/python benchmarks/autograd.py [--json FILE]

The network and the loss are those of micrograd's own demo (its version 0.1.0): two inputs, two layers of 16 rectified
neurons, one output; the maximum-margin loss of 100 points in two moons, with 1e-4 times the squared weights. A step is
forward, backward and update. micrograd's values are single numbers, ours are arrays, both in float64. Both begin with
the same weights and make the same steps in turns; the losses must agree to 1e-10 each time. The best turn counts, and
ours is the mean of many steps, as one is too short to be timed well.
"""

import argparse
import random
from pathlib import Path

import numpy as np
from common import circumstances, record, timed
from micrograd.nn import MLP

from minigpt.autograd import Value, relu

POINTS, WIDTHS, PENALTY, LEARNING_RATE = 100, [16, 16, 1], 1e-4, 0.1
TURNS, OUR_STEPS = 8, 500


def two_moons(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) on two half circles that reach into each other, and labels (n, 1) of -1 and +1."""
    generator = np.random.default_rng(0)
    angles = np.pi * generator.uniform(size=n // 2)
    upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    x = np.concatenate([upper, [1, 0.5] - upper]) + 0.1 * generator.normal(size=(n, 2))
    return x, np.repeat([[1], [-1]], n // 2, axis=0)


def their_step(model: MLP, x: np.ndarray, y: np.ndarray) -> float:
    """One step as in micrograd's demo, and the loss before it."""
    scores = [model(row) for row in x.tolist()]
    losses = [(1 + -label * score).relu() for label, score in zip(y.flatten().tolist(), scores)]
    loss = sum(losses) * (1.0 / len(losses)) + PENALTY * sum(p * p for p in model.parameters())
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.data -= LEARNING_RATE * p.grad
    return loss.data


def our_step(parameters: list[Value], x: np.ndarray, y: np.ndarray) -> float:
    """The same with arrays."""
    w1, b1, w2, b2, w3, b3 = parameters
    scores = relu(relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3
    loss = relu(1 - y * scores).mean() + PENALTY * sum((p * p).sum() for p in parameters)
    for p in parameters:
        p.grad = None
    loss.backward()
    for p in parameters:
        p.data -= LEARNING_RATE * p.grad
    return float(loss.data)


def same_parameters(model: MLP) -> list[Value]:
    """micrograd's weights and biases as arrays."""
    parameters = []
    for layer in model.layers:
        parameters.append(Value(np.array([[w.data for w in neuron.w] for neuron in layer.neurons]).T))
        parameters.append(Value(np.array([float(neuron.b.data) for neuron in layer.neurons])))
    return parameters


def compare() -> dict[str, float]:
    """The best time of a step in each engine, in seconds."""
    random.seed(1)
    model, (x, y) = MLP(2, WIDTHS), two_moons(POINTS)
    ours, timed_apart = same_parameters(model), same_parameters(model)
    seconds: dict[str, list[float]] = {"minigpt": [], "micrograd": []}
    for turn in range(TURNS):
        their_seconds, their_loss = timed(lambda: their_step(model, x, y))
        our_loss = our_step(ours, x, y)
        if abs(our_loss - their_loss) > 1e-10:
            raise SystemExit(f"step {turn}: the losses are {our_loss} and {their_loss}; mend that before you time")
        our_seconds, _ = timed(lambda: [our_step(timed_apart, x, y) for _ in range(OUR_STEPS)])
        seconds["micrograd"].append(their_seconds)
        seconds["minigpt"].append(our_seconds / OUR_STEPS)
    return {engine: min(times) for engine, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="also write the times, the machine and the versions here")
    arguments = parser.parse_args()
    where = circumstances(["numpy", "micrograd"])
    best = compare()
    ratio = best["micrograd"] / best["minigpt"]
    print(f"one step: minigpt {best['minigpt']:.2e} s, micrograd {best['micrograd']:.2e} s, ratio {ratio:,.0f}")
    record(arguments.json, network="2-16-16-1", points=POINTS, **where, seconds=best, ratio=ratio)


if __name__ == "__main__":
    main()
