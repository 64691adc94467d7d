"""Files that are either whole or not there: written beside their place, then renamed into it."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minigpt.errors import MinigptError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, rename it to `path`.

    A crash at any moment leaves the old file as it was. The temporary file is removed if the block fails.

    Raises:
        MinigptError: the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # a rename must not outlive the bytes it names
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def cannot_write(path: str | os.PathLike, error: OSError) -> MinigptError:
    """Say in one sentence why `path` could not be written, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MinigptError(
            f"the disk is full: could not write {path}; free some space, or choose another folder with --out"
        )
    return MinigptError(f"could not write {path}: {error.strerror or error}; check the folder and its permissions")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as readable JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_setting(facts: Mapping[str, Any], *names: str, default: Any = None, kind: type = int) -> Any:
    """What the `config.json` of a published model sets, under one of some names: a number above zero, or a flag.

    Args:
        facts: the configuration.
        names: the first that is there counts.
        default: where there is none; without it, it must be there.
        kind: `int`, `float` or `bool`.

    Raises:
        MinigptError: it is not there, or cannot be.
    """
    name = next((name for name in names if facts.get(name) is not None), None)
    if name is None and default is None:
        raise MinigptError(f"config.json lacks {names[0]!r}: it is no complete configuration of its kind of model")
    value = default if name is None else facts[name]
    if type(value) is not kind or (kind is not bool and not 0 < value < 10**9):
        raise MinigptError(f"config.json sets {name} to {value!r}, which cannot be")
    return value


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file.

    Raises:
        MinigptError: it is missing or damaged.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MinigptError(f"there is no file {path}; check the path") from None
    except (ValueError, OSError) as error:
        raise MinigptError(f"{path} is damaged ({error}); remove it, and make it again") from None
