"""Tests of what a machine has."""

import signal

import pytest
import torch

from minigpt.devices import Interruption, Process, best_device, compiled, precision, processes
from minigpt.transformer import GPT, GPTConfig

SMALL = GPTConfig(vocabulary_size=12, context_length=16, n_layers=1, n_heads=2, width=16)


def test_alone_there_is_one_process():
    with processes() as process:
        assert (process.rank, process.world, process.is_first) == (0, 1, True)
        assert process.device.type == best_device().type
    assert process.one_after_the_other(lambda: "done") == "done"
    assert not Process(1, 2, torch.device("cpu")).is_first


def test_without_a_compiler_the_model_stays_as_it_is(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    model = GPT(SMALL)
    assert compiled(model, torch.zeros(2, 9, dtype=torch.long)) is model


def test_a_compiler_that_fails_is_done_without(monkeypatch):
    def broken(model, dynamic):
        raise RuntimeError("no such instruction")

    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/c++")
    monkeypatch.setattr(torch, "compile", broken)
    model = GPT(SMALL)
    with pytest.warns(UserWarning, match="RuntimeError.*without it"):
        assert compiled(model, torch.zeros(2, 9, dtype=torch.long)) is model


def test_compiling_leaves_no_gradient_behind(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/c++")
    monkeypatch.setattr(torch, "compile", lambda model, dynamic: model)
    model = GPT(SMALL)
    compiled(model, torch.randint(12, (2, 9)))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_processor_computes_in_float32():
    with precision(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_the_first_interruption_is_noted_and_the_second_stops():
    before = signal.default_int_handler
    signal.signal(signal.SIGINT, before)  # a shell starts jobs in the background without it
    with Interruption() as interruption:
        assert not interruption.asked
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
