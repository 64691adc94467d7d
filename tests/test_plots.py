"""Figures: what is drawn is what was measured."""

import numpy as np
import pytest
from matplotlib.image import imread

from minigpt.plots import plot_kinds, plot_ladder, plot_log, save

ROWS = [
    {"tokens": t, "train_bits_per_character": 2.0 / t, "validation_bits_per_character": 2.1 / t,
     "floor_bits_per_character": 0.14}
    for t in (1, 2, 3)
]  # fmt: skip


def test_the_log():
    axes = plot_log(ROWS, "title").axes[0]
    train, validation, floor = axes.lines
    assert train.get_ydata().tolist() == [2.0, 1.0, 2.0 / 3]
    assert validation.get_ydata() == pytest.approx([2.1, 1.05, 0.7])
    assert set(floor.get_ydata()) == {0.14}
    without = [row | {"floor_bits_per_character": None} for row in ROWS]
    assert len(plot_log(without, "title").axes[0].lines) == 2


def test_the_ladder_goes_down_to_the_floor():
    axes = plot_ladder({"GPT": 0.2, "uniform": 6.0, "bigrams": 2.0}, "title", 0.14).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["uniform", "bigrams", "GPT"]
    assert [bar.get_width() for bar in axes.patches] == [6.0, 2.0, 0.2]
    assert "0.140" in axes.get_xlabel()
    assert "unknown" in plot_ladder({"GPT": 0.2}, "title").axes[0].get_xlabel()


def test_kinds_show_the_excess():
    axes = plot_kinds({"recall": (0.3, 0.0), "plot": (0.5, 0.4), "name": (0.1, 0.1)}, "title").axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.1, 0.0, 0.4, 0.0, 0.3, 0.1])


def test_a_figure_becomes_a_png(tmp_path):
    save(plot_log(ROWS, "title"), tmp_path / "loss.png")
    pixels = imread(tmp_path / "loss.png")
    assert pixels.shape == (480, 840, 4)
    assert np.ptp(pixels[..., :3]) > 0.5
