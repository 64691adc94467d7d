"""Tests of WordPiece: BERT's pieces with digits split, as GPT-2 Chinese has them."""

import json
from pathlib import Path

import pytest

from minigpt.errors import MinigptError
from minigpt.tokenizers import StreamDecoder
from minigpt.wordpiece import WordPieceTokenizer, read_word_pieces, words

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "bert_zh"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[", "]", "中", "国", "token", "##s", "##er", "2", "!", "a"]


def test_published_ids():
    if not GOLDEN.exists():
        pytest.skip(f"the golden tokeniser is not at {GOLDEN}")
    tokenizer = read_word_pieces(GOLDEN / "vocab.txt")
    for case in json.loads((GOLDEN / "bert_zh.json").read_text(encoding="utf-8"))["cases"]:
        assert tokenizer.encode(case["text"], allow_special=True) == case["ids_digits_split"]


@pytest.mark.parametrize(
    "text", ["Token 中国22!", "tokeners\t中\u00a0国", "[中] a" + "a" * 120, "é\u200b!", "", "中\n\n国"]
)
def test_ids_are_those_of_hugging_faces_bert(text, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'reference'")
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    theirs = transformers.BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=True)
    spread = "".join(f" {c} " if c.isdigit() else c for c in text)  # the one rule that GPT-2 Chinese adds
    ours = read_word_pieces(tmp_path / "vocab.txt")
    assert ours.encode(text) == theirs.encode(spread, add_special_tokens=False)


def test_words():
    assert words("Hello, GPT2 中国！") == ["hello", ",", "gpt", "2", "中", "国", "！"]


def test_decoding_puts_pieces_together():
    tokenizer = WordPieceTokenizer(VOCABULARY)
    ids = tokenizer.encode("中国 tokeners a!")
    assert tokenizer.decode(ids) == "中国 tokeners a!"
    decoder = StreamDecoder(tokenizer)
    assert "".join(map(decoder.feed, ids)) + decoder.finish() == "中国 tokeners a!"
    assert tokenizer.end_of_text == VOCABULARY.index("[CLS]")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a\nb\n", r"has no \[UNK\]"),
        (b"[UNK]\n", r"has no \[CLS\]"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"", "has no"),
    ],
)
def test_broken_vocabularies(content, complaint, tmp_path):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(MinigptError, match=complaint):
        read_word_pieces(tmp_path / "vocab.txt")
    with pytest.raises(MinigptError, match="cannot be read"):
        read_word_pieces(tmp_path / "none.txt")
