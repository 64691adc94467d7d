"""Texts to train on: the Tales, the documentation that Python carries, files of your own, and public corpora by name.

Chapter 9 builds it. A corpus gives its documents split by split, each as a stream of pieces, so that none needs to fit
into memory. The Tales are endless; of every other text the last tenth is held out.
"""

import glob
import hashlib
import http
import http.client
import os
import pydoc_data.topics
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from minigpt import tales
from minigpt.errors import MinigptError, unknown_name
from minigpt.files import cannot_write, read_json

TALES = {"tales": "english", "tales-zh": "chinese"}
PYDOC = "pydoc"
SPLITS = ("train", "validation")
HELD_OUT = 10  # one part in so many
PIECE = 1 << 20  # characters
# No word of byte-pair encoding spans these places, so encoding piece by piece gives the ids of the whole text.
SAFE_CUT = re.compile(r"(?<=\S)\n(?=\S)")
REGISTRY = Path(__file__).parent.parent / "data" / "corpora.json"
TIMEOUT = 20  # seconds without a byte

Document = Iterable[str]


@dataclass(frozen=True)
class Corpus:
    """A text to train on and to be judged by.

    Attributes:
        name: what the user called it.
        fingerprint: equal fingerprints, equal texts.
        documents: gives the documents of a split ("train" or "validation"), each as pieces of text.
        alphabet: gives all characters of the corpus, in order.
        endless: whether the documents never end.
    """

    name: str
    fingerprint: str
    documents: Callable[[str], Iterator[Document]]
    alphabet: Callable[[], str]
    endless: bool = False


def open_corpus(spec: str) -> Corpus:
    """The corpus that the user named.

    Args:
        spec: "tales", "tales-zh", "pydoc", a name in the registry (fetched if need be), or a file, folder or glob.

    Raises:
        MinigptError: there is no such corpus, it cannot be fetched, or a file is empty or no UTF-8 text.
    """
    if spec in TALES:
        return tales_corpus(spec)
    if spec == PYDOC:
        topics = pydoc_data.topics.topics
        return text_corpus(spec, [partial(iter, [topics[name] + "\n\n"]) for name in sorted(topics)])
    if spec in registry():
        return text_corpus(spec, [partial(read_pieces, fetch(spec))])
    return text_corpus(spec, [partial(read_pieces, path) for path in find_files(spec)])


def tales_corpus(name: str) -> Corpus:
    """The Tales, endless."""
    language = TALES[name]
    sources = b"".join(path.read_bytes() for path in sorted(Path(tales.__file__).parent.glob("*.py")))
    return Corpus(
        name=name,
        fingerprint=hashlib.sha256(name.encode() + sources).hexdigest(),
        documents=lambda split: ([tales.document(language, split, index)] for index in count()),
        alphabet=lambda: tales.alphabet(language),
        endless=True,
    )


def text_corpus(name: str, texts: list[Callable[[], Iterable[str]]]) -> Corpus:
    """Some texts, one document each; the last tenth of all their characters is held out.

    Args:
        name: of the corpus.
        texts: each gives its pieces, as often as it is called.
    """
    checksum, lengths = hashlib.sha256(), [0] * len(texts)
    for number, text in enumerate(texts):
        for piece in text():
            checksum.update(piece.encode())
            lengths[number] += len(piece)
        checksum.update(b"\xff")  # no UTF-8: the next document begins
    characters = sum(lengths)
    first_held_out = characters - characters // HELD_OUT
    ranges = {"train": (0, first_held_out), "validation": (first_held_out, characters)}

    def documents(split: str) -> Iterator[Document]:
        start, stop = ranges[split]
        for text, length in zip(texts, lengths, strict=True):
            if start < length and stop > 0:
                yield between(text(), start, stop)
            start, stop = start - length, stop - length

    return Corpus(
        name=name,
        fingerprint=checksum.hexdigest(),
        documents=documents,
        alphabet=lambda: "".join(sorted(set().union(*chain.from_iterable(text() for text in texts)))),
    )


def between(pieces: Iterable[str], start: int, stop: int) -> Iterator[str]:
    """The pieces of the text from character `start` up to `stop`.

    >>> list(between(["abc", "def", "ghi"], 2, 7))
    ['c', 'def', 'g']
    """
    for piece in pieces:
        part = piece[max(start, 0) : max(stop, 0)]
        if part:
            yield part
        start, stop = start - len(piece), stop - len(piece)
        if stop <= 0:
            return


def read_pieces(path: Path) -> Iterator[str]:
    """The text of a UTF-8 file in pieces of about a million characters, cut between two lines.

    Raises:
        MinigptError: the file is missing, empty, or no UTF-8 text.
    """
    buffer = ""
    try:
        with open(path, encoding="utf-8-sig") as file:
            while new := file.read(PIECE):
                if "\0" in new:
                    raise MinigptError(f"{path} is a binary file, not text: choose a text file")
                buffer += new
                cuts = [match.end() for match in SAFE_CUT.finditer(buffer, max(0, len(buffer) - PIECE))]
                if cuts:
                    yield buffer[: cuts[-1]]
                    buffer = buffer[cuts[-1] :]
    except UnicodeDecodeError as error:
        raise MinigptError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): choose another file, or convert it first"
        ) from None
    except OSError as error:
        raise MinigptError(f"could not read {path}: {error.strerror}; check the path and its permissions") from None
    if buffer:
        yield buffer


def find_files(spec: str) -> list[Path]:
    """The files that a path, folder or glob means, in order.

    Raises:
        MinigptError: there are none, or all are empty.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*")) if not file.name.startswith(".")]
    elif path.exists():
        found = [path]
    else:
        found = sorted(map(Path, glob.glob(str(path), recursive=True)))
    files = [file for file in found if file.is_file()]
    if not files:
        if set("/\\*?.~") & set(spec):
            raise MinigptError(f"there are no files at {spec}: check the path")
        raise unknown_name("corpus or file", spec, [*TALES, PYDOC, *registry()])
    files = [file for file in files if file.stat().st_size]
    if not files:
        raise MinigptError(f"{spec} is empty: choose a file with text in it")
    return files


def registry() -> dict[str, dict[str, Any]]:
    """The public corpora that `fetch` knows: title, url, size in bytes, sha256 and licence by name."""
    return read_json(REGISTRY)


def cache_folder() -> Path:
    """Where fetched corpora and token files lie: $MINIGPT_CACHE, or ~/.cache/minigpt."""
    return Path(os.environ.get("MINIGPT_CACHE") or Path.home() / ".cache" / "minigpt")


def fetch(name: str) -> Path:
    """The file of a public corpus, downloaded and verified if it is not there yet.

    A download that breaks off goes on where it stopped.

    Raises:
        MinigptError: the network or the disk fails, or the file is not the one that was registered.
    """
    entry = registry()[name]
    path = cache_folder() / f"{name}.txt"
    if not path.exists():
        part = path.with_suffix(".part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            download(entry["url"], part, entry["size"], name)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise MinigptError(
                f"could not download {entry['url']} ({getattr(error, 'reason', error)}): run the command again to go"
                f" on, or put the file by hand at {path}"
            ) from None
        except OSError as error:
            raise cannot_write(part, error) from None
        verify(part, entry["sha256"])
        part.replace(path)
    verify(path, entry["sha256"])
    return path


def download(url: str, path: Path, size: int, name: str) -> None:
    """Append to a file what it lacks of a URL's content (bytes)."""
    have = path.stat().st_size if path.exists() else 0
    if have >= size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:  # the server sends the whole
            have = 0
        with (
            open(path, "ab" if have else "wb") as file,
            tqdm(total=size, initial=have, unit="B", unit_scale=True, desc=name) as bar,
        ):
            while block := response.read(1 << 16):
                file.write(block)
                bar.update(len(block))
    if path.stat().st_size < size:
        raise ConnectionError("the connection broke off")


def verify(path: Path, sha256: str) -> None:
    """Check a file against its registered SHA-256, and move it out of the way if it is another.

    Raises:
        MinigptError: it is another file.
    """
    checksum = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(PIECE):
            checksum.update(block)
    if checksum.hexdigest() == sha256:
        return
    wrong = path.with_suffix(".wrong")
    path.replace(wrong)
    raise MinigptError(f"{path} is not the registered file (its SHA-256 differs; it is now {wrong}): fetch it again")


def describe_corpora() -> str:
    """A list of the corpora, for the command line."""
    lines = [
        ("tales", "little stories from a language whose entropy is known; endless"),
        ("tales-zh", "the same world in Chinese; endless"),
        ("pydoc", "the documentation that Python carries"),
    ]
    for name, entry in registry().items():
        here = "fetched" if (cache_folder() / f"{name}.txt").exists() else "not fetched yet"
        lines.append((name, f"{entry['title']}; {entry['size']:,} bytes; {entry['licence']}; {here}"))
    lines.append(("PATH", "a UTF-8 file, a folder, or a glob in quotes"))
    return "\n".join(f"{name:16} {what}" for name, what in lines)
