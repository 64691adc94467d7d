"""Files are whole or not there."""

import contextlib
import json

import pytest

from minigpt.errors import MinigptError
from minigpt.files import read_json, replacing, write_json


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "folder" / "facts.json"
    write_json(path, {"n": 1, "名": "风筝"})
    with contextlib.suppress(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half of")
        raise RuntimeError
    assert read_json(path) == {"n": 1, "名": "风筝"}
    assert [file.name for file in path.parent.iterdir()] == ["facts.json"]


def test_a_missing_or_damaged_json(tmp_path):
    with pytest.raises(MinigptError, match="there is no file"):
        read_json(tmp_path / "facts.json")
    (tmp_path / "facts.json").write_text(json.dumps({"n": 1})[:-1])
    with pytest.raises(MinigptError, match="is damaged"):
        read_json(tmp_path / "facts.json")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MinigptError, match="could not write .*permissions"):
        write_json(tmp_path / "file" / "facts.json", {})
