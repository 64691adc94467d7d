"""Checkpoints: what goes in comes out, and what is damaged is noticed."""

import errno
import os

import pytest
import torch
from safetensors.torch import save_file

from minigpt.checkpoints import flatten, load_checkpoint, newest_checkpoint, save_checkpoint, unflatten
from minigpt.errors import MinigptError

TENSORS = {"model.weight": torch.randn(5, 3), "adamw.0.step": torch.tensor(3.0), "half": torch.ones(2).bfloat16()}
FACTS = {"steps": 9, "log": [{"step": 1, "loss": 0.1 + 0.2}]}


def test_what_goes_in_comes_out(tmp_path):
    tensors, facts = load_checkpoint(save_checkpoint(tmp_path, 7, TENSORS, FACTS))
    assert facts == FACTS | {"step": 7}
    assert tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensors[name], TENSORS[name]) and tensors[name].dtype == TENSORS[name].dtype for name in TENSORS
    )


def test_the_last_two_are_kept_and_the_newest_is_found(tmp_path):
    for step in (5, 10, 200):
        save_checkpoint(tmp_path, step, TENSORS, FACTS)
    assert len(list(tmp_path.iterdir())) == 2
    assert newest_checkpoint(tmp_path)[1]["step"] == 200


def test_no_checkpoint_yet(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    with pytest.raises(MinigptError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "checkpoint-0000001.safetensors")


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def damage_flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def damage_empty(path):
    path.write_bytes(b"")


def damage_pickle(path):
    torch.save(TENSORS, path)


@pytest.mark.parametrize("damage", [damage_truncate, damage_flip, damage_empty, damage_pickle])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, damage):
    save_checkpoint(tmp_path, 1, TENSORS, FACTS)
    newest = save_checkpoint(tmp_path, 2, TENSORS, FACTS)
    damage(newest)
    with pytest.raises(MinigptError, match="is damaged .* remove it"):
        load_checkpoint(newest)
    with pytest.warns(UserWarning, match="is damaged"):
        assert newest_checkpoint(tmp_path)[1]["step"] == 1


@pytest.mark.filterwarnings("ignore:.*damaged")
def test_when_all_are_damaged_it_says_so(tmp_path):
    damage_flip(save_checkpoint(tmp_path, 1, TENSORS, FACTS))
    with pytest.raises(MinigptError, match="is damaged"):
        newest_checkpoint(tmp_path)


def test_another_version(tmp_path):
    path = tmp_path / "checkpoint-0000001.safetensors"
    save_file(TENSORS, path, {"format": "minigpt 0"})
    with pytest.raises(MinigptError, match="another version .minigpt 0, this is minigpt 1"):
        load_checkpoint(path)
    save_file(TENSORS, path)
    with pytest.raises(MinigptError, match="not a minigpt checkpoint"):
        load_checkpoint(path)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, TENSORS, FACTS)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MinigptError, match="the disk is full"):
        save_checkpoint(tmp_path, 2, TENSORS, FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-0000001.safetensors"]
    assert newest_checkpoint(tmp_path)[1]["step"] == 1


def test_an_optimisers_state_survives():
    weight = torch.nn.Parameter(torch.randn(4, 4))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    tensors = dict(flatten("adamw", state)) | {"model.0.weight": weight}
    assert unflatten("adamw", tensors) == state["state"]
