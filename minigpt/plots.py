"""The figures of runs and chapters: each makes one point, said in its title."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from minigpt.files import replacing

# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def new_figure(width: float = 7.0, height: float = 4.0) -> tuple[Figure, Axes]:
    """An empty figure (inches) with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def plot_log(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """The loss of a run against its tokens, with the floor where it is known.

    Args:
        rows: the rows of `log.jsonl`.
        title: what to see.
    """
    figure, axes = new_figure()
    tokens = [row["tokens"] for row in rows]
    train, validation = ([row[f"{split}_bits_per_character"] for row in rows] for split in ("train", "validation"))
    axes.plot(tokens, train, color=SKY, marker=".", label="training (mean since the last point)")
    axes.plot(tokens, validation, color=BLUE, marker="o", markersize=4, label="held out")
    floor = rows[-1]["floor_bits_per_character"]
    if floor is not None:
        axes.axhline(floor, color=RED, linestyle="--", label="floor: the Oracle")
    axes.set(title=title, xlabel="tokens of training", ylabel="bits per character", ylim=(0, None))
    axes.xaxis.set_major_formatter(EngFormatter())  # 2 M rather than 2e6
    axes.legend(frameon=False)
    return figure


def plot_ladder(rungs: Mapping[str, float], title: str, floor: float | None = None) -> Figure:
    """The ladder: bits per character of each model on the same held-out text, from worst to best.

    Args:
        rungs: bits per character by the model's name.
        title: what to see.
        floor: what no model can beat; None where it is unknown, and then the figure says so.
    """
    names = sorted(rungs, key=rungs.__getitem__, reverse=True)
    figure, axes = new_figure(height=1.2 + 0.36 * len(names))
    axes.set_xscale("log")  # the last steps down, to the floor, are the hardest
    bars = axes.barh(names, [rungs[name] for name in names], color=BLUE, height=0.65)
    axes.bar_label(bars, [f"{rungs[name]:.3f}" for name in names], padding=4)
    axes.invert_yaxis()
    lowest, highest = min(rungs.values()), max(rungs.values())
    axes.set_xlim(0.7 * min(lowest, floor or lowest), 2 * highest)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    if floor is None:
        axes.set_xlabel("bits per character, logarithmic (the floor of this text is unknown)")
    else:
        axes.axvline(floor, color=RED, linestyle="--")
        axes.set_xlabel(f"bits per character, logarithmic (dashed: the floor, {floor:.3f})")
    figure.suptitle(title, x=0.02, ha="left")
    return figure


def plot_kinds(bits_by_kind: Mapping[str, tuple[float, float]], title: str) -> Figure:
    """For each kind of choice, the model's loss beside the Oracle's.

    Args:
        bits_by_kind: the (model's, Oracle's) share of the bits per character.
        title: what to see.
    """
    kinds = sorted(bits_by_kind, key=lambda kind: sum(bits_by_kind[kind]))
    figure, axes = new_figure(height=1.2 + 0.36 * len(kinds))
    oracle = [bits_by_kind[kind][1] for kind in kinds]
    excess = [max(0.0, bits_by_kind[kind][0] - bits_by_kind[kind][1]) for kind in kinds]
    axes.barh(kinds, oracle, color=SKY, label="the Oracle: cannot be known")
    axes.barh(kinds, excess, left=oracle, color=RED, label="the model's excess: not learned yet")
    axes.set(title=title, xlabel="share of the loss, bits per character")
    axes.legend(frameon=False)
    return figure
