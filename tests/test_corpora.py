"""Corpora: splits, pieces, downloads that break off, and files that are no text."""

import hashlib
import http.server
import json
import re
import threading
from pathlib import Path

import pytest

from minigpt import corpora
from minigpt.corpora import between, describe_corpora, fetch, open_corpus, read_pieces
from minigpt.errors import MinigptError
from minigpt.tokenizers import train_byte_pairs

TEXT = "".join(f"Line {n} of a little text.\n" for n in range(1000))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("MINIGPT_CACHE", str(folder))
    return folder


def whole(corpus, split):
    return ["".join(document) for document in corpus.documents(split)]


# Splits and pieces


def test_a_file_is_split_at_nine_tenths(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    corpus = open_corpus(str(tmp_path / "a.txt"))
    (train,), (validation,) = whole(corpus, "train"), whole(corpus, "validation")
    assert train + validation == TEXT
    assert len(validation) == len(TEXT) // 10
    assert corpus.alphabet() == "".join(sorted(set(TEXT)))


def test_a_folder_is_one_document_a_file(tmp_path):
    for name, text in {"b.txt": TEXT[:500], "a/c.txt": TEXT[500:900], "d.md": TEXT[900:1000], "empty": ""}.items():
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    corpus = open_corpus(str(tmp_path / "texts"))
    assert whole(corpus, "train") == [TEXT[500:900], TEXT[:500]]
    assert whole(corpus, "validation") == [TEXT[900:1000]]
    assert whole(open_corpus(str(tmp_path / "texts" / "**" / "*.txt")), "validation") == [TEXT[410:500]]


@pytest.mark.parametrize("name", ["tales", "tales-zh"])
def test_the_tales_are_endless(name):
    corpus = open_corpus(name)
    documents = corpus.documents("train")
    assert len({"".join(next(documents)) for _ in range(50)}) == 50
    assert corpus.endless


def test_the_documentation_of_python_needs_no_network():
    corpus = open_corpus("pydoc")
    assert sum(map(len, whole(corpus, "train"))) > 100_000
    assert whole(corpus, "validation")


def test_the_fingerprint_tells_texts_apart(tmp_path):
    fingerprints = set()
    for number, text in enumerate([TEXT, TEXT[:-1], TEXT + "x"]):
        (tmp_path / f"{number}").write_text(text)
        fingerprints.add(open_corpus(str(tmp_path / f"{number}")).fingerprint)
    (tmp_path / "again").write_text(TEXT)
    assert len(fingerprints) == 3
    assert open_corpus(str(tmp_path / "again")).fingerprint in fingerprints


def test_pieces_are_cut_where_no_word_is(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "PIECE", 100)
    text = re.sub(r" (\d*0) ", r"\n\n  \1\n", TEXT[:5000])
    (tmp_path / "a.txt").write_text(text)
    pieces = list(read_pieces(tmp_path / "a.txt"))
    assert "".join(pieces) == text
    assert len(pieces) > 20
    tokenizer = train_byte_pairs(text, 400)
    assert [id for piece in pieces for id in tokenizer.encode(piece)] == tokenizer.encode(text)


def test_a_text_without_lines_is_one_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "PIECE", 100)
    (tmp_path / "a.txt").write_text("word " * 500)
    assert list(read_pieces(tmp_path / "a.txt")) == ["word " * 500]


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (0, 4), (4, 9), (3, 6), (5, 5), (-3, 2), (8, 20), (-5, -2)])
def test_between(start, stop):
    text = "abcdefghi"
    assert "".join(between(["abc", "def", "ghi"], start, stop)) == text[max(start, 0) : max(stop, 0)]


# Files that cannot be used


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"text\0text", "binary file"), (b"caf\xe9 au lait", r"not UTF-8 text \(.* at byte 3\)")],
)
def test_a_file_that_is_no_text(tmp_path, content, complaint):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(MinigptError, match=complaint):
        open_corpus(str(tmp_path / "a.txt"))


def test_names_that_are_nowhere(tmp_path):
    with pytest.raises(MinigptError, match="no files at"):
        open_corpus(str(tmp_path / "nothing.txt"))
    with pytest.raises(MinigptError, match="did you mean tinyshakespeare"):
        open_corpus("tinyshakespear")
    (tmp_path / "folder").mkdir()
    with pytest.raises(MinigptError, match="no files at"):
        open_corpus(str(tmp_path / "folder"))


# Downloads


class Server(http.server.BaseHTTPRequestHandler):
    """Serves a text, with ranges; hangs up after `limit` bytes."""

    limit, ranges, content = 10**9, [], TEXT.encode()

    def do_GET(self):
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.ranges.append(start)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : start + self.limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A registry whose one corpus comes from this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        entry = {
            "title": "A little text",
            "url": f"http://127.0.0.1:{httpd.server_port}/little.txt",
            "size": len(TEXT),
            "sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
            "licence": "none",
        }
        (tmp_path / "corpora.json").write_text(json.dumps({"little": entry}))
        monkeypatch.setattr(corpora, "REGISTRY", tmp_path / "corpora.json")
        monkeypatch.setattr(Server, "ranges", [])
        yield httpd
        httpd.shutdown()


def test_a_corpus_is_fetched_once(server):
    assert fetch("little").read_text() == TEXT
    server.shutdown()
    assert fetch("little").read_text() == TEXT
    assert "fetched" in describe_corpora()
    assert "".join(whole(open_corpus("little"), "train")) == TEXT[: -(len(TEXT) // 10)]


def test_a_download_goes_on_where_it_broke_off(server, monkeypatch):
    monkeypatch.setattr(Server, "limit", 10_000)
    for _ in range(2):
        with pytest.raises(MinigptError, match="run the command again to go on"):
            fetch("little")
    assert fetch("little").read_text() == TEXT
    assert Server.ranges == [0, 10_000, 20_000]


def test_a_file_that_is_not_the_registered_one(server, cache, monkeypatch):
    monkeypatch.setattr(Server, "content", TEXT.encode()[::-1])
    with pytest.raises(MinigptError, match="not the registered file"):
        fetch("little")
    assert not (cache / "little.txt").exists()
    monkeypatch.setattr(Server, "content", TEXT.encode())
    assert fetch("little").read_text() == TEXT


def test_without_network_the_message_says_where_to_put_the_file(server, cache):
    server.shutdown()
    server.server_close()
    with pytest.raises(MinigptError, match="little.txt") as caught:
        fetch("little")
    assert str(cache / "little.txt") in str(caught.value)
    cache.joinpath("little.txt").write_text(TEXT)
    assert fetch("little").read_text() == TEXT


def test_the_registered_tiny_shakespeare():
    path = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "tinyshakespeare.txt"
    if not path.exists():
        pytest.skip(f"Tiny Shakespeare is not at {path}")
    entry = corpora.registry()["tinyshakespeare"]
    assert path.stat().st_size == entry["size"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
