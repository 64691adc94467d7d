"""Token files and batches: nothing is lost, nothing leaks, and a batch is a function of the seed and its number."""

import numpy as np
import pytest
import torch

from minigpt.corpora import open_corpus, text_corpus
from minigpt.datasets import Batches, Tokens, prepare
from minigpt.errors import MinigptError
from minigpt.tokenizers import ByteTokenizer, CharacterTokenizer, train_byte_pairs


def corpus_of(*texts):
    return text_corpus("texts", [lambda text=text: iter([text[:7], text[7:]]) for text in texts])


def tokens_of(*lengths):
    """Documents of some lengths, end-of-text (0) included; all other tokens are different."""
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ids = np.arange(sum(lengths))
    ids[starts] = 0
    return Tokens(ids, sum(lengths), starts)


def test_documents_survive_encoding(tmp_path):
    texts = [f"Document {n}: " + "some words, " * n for n in range(1, 40)]
    tokenizer = ByteTokenizer()
    for tokens, split in zip(
        prepare(corpus_of(*texts), tokenizer, tmp_path, 0, 0), ("train", "validation"), strict=True
    ):
        assert tokens.ids.dtype == np.uint16
        documents = np.split(np.asarray(tokens.ids), tokens.document_starts[1:])
        assert all(document[0] == tokenizer.end_of_text for document in documents)
        expected = ["".join(document) for document in corpus_of(*texts).documents(split)]
        assert [tokenizer.decode(document[1:]) for document in documents] == expected
        assert tokens.characters == sum(map(len, expected))


def test_an_endless_corpus_is_cut_at_a_document(tmp_path):
    corpus = open_corpus("tales")
    tokenizer = CharacterTokenizer(corpus.alphabet())
    train, validation = prepare(corpus, tokenizer, tmp_path, 20_000, 5_000)
    assert 20_000 <= train.characters < 22_000
    assert 5_000 <= validation.characters < 7_000
    assert len(train.ids) == train.characters + len(train.document_starts)


def test_a_corpus_is_encoded_once(tmp_path, monkeypatch):
    text, tokenizer = "A little text. " * 100, ByteTokenizer()
    first, _ = prepare(corpus_of(text), tokenizer, tmp_path, 0, 0)
    monkeypatch.setattr(ByteTokenizer, "encode", None)
    again, _ = prepare(corpus_of(text), tokenizer, tmp_path, 0, 0)
    assert np.array_equal(first.ids, again.ids)
    assert isinstance(again.ids, np.memmap)


def test_another_text_or_tokenizer_is_another_file(tmp_path):
    text = "A little text. " * 100
    for corpus, tokenizer in [
        (corpus_of(text), ByteTokenizer()),
        (corpus_of(text + "!"), ByteTokenizer()),
        (corpus_of(text), train_byte_pairs(text, 270)),
    ]:
        prepare(corpus, tokenizer, tmp_path, 0, 0)
    assert len(list(tmp_path.glob("tokens/*.bin"))) == 6


def test_a_damaged_token_file(tmp_path):
    text, tokenizer = "A little text. " * 100, ByteTokenizer()
    prepare(corpus_of(text), tokenizer, tmp_path, 0, 0)
    for path in tmp_path.glob("tokens/*.bin"):
        path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(MinigptError, match="damaged"):
        prepare(corpus_of(text), tokenizer, tmp_path, 0, 0)


def test_a_text_too_short_to_be_split(tmp_path):
    with pytest.raises(MinigptError, match="too short"):
        prepare(corpus_of("Short."), ByteTokenizer(), tmp_path, 0, 0)


def test_a_character_outside_the_vocabulary(tmp_path):
    with pytest.raises(MinigptError, match="Z"):
        prepare(corpus_of("abc Z " * 20), CharacterTokenizer("abc "), tmp_path, 0, 0)
    assert not list(tmp_path.glob("tokens/*"))


# Batches


def test_a_batch_is_a_function_of_the_seed_and_its_number():
    tokens = tokens_of(*[30] * 50)
    first, again, other = (Batches(tokens, 16, 8, seed) for seed in (1, 1, 2))
    expected = [first.batch(step) for step in range(40)]
    assert all(torch.equal(again.batch(step), expected[step]) for step in reversed(range(40)))
    assert not torch.equal(other.batch(0), expected[0])


def test_processes_share_a_batch():
    batches = Batches(tokens_of(*[30] * 50), 16, 8, 0)
    shares = [batches.batch(5, rank, 4) for rank in range(4)]
    assert torch.equal(torch.cat(shares), batches.batch(5))


def test_short_documents_are_read_from_their_start_once_an_epoch():
    tokens = tokens_of(*[10, 12, 9, 15] * 20)
    batches = Batches(tokens, 16, 8, 0)
    rows = torch.cat([batches.batch(step) for step in range(len(batches) // 8)])
    assert (rows[:, 0] == 0).sum() >= len(rows) - 1  # the last document is too short to stand alone
    seen = np.sort(rows[:, 1].numpy())
    assert len(np.unique(seen)) == len(rows) == 80


def test_a_window_is_a_row_of_the_file():
    tokens = tokens_of(100, 7, 40, 2, 300)
    batches = Batches(tokens, 16, 4, 0)
    everything = tokens.ids.tolist()
    for step in range(50):
        for row in batches.batch(step).tolist():
            assert len(row) == 17
            start = row[1] - 1
            assert everything[start : start + 17] == row


def test_every_target_of_a_long_document_is_learned():
    tokens = tokens_of(1000)
    batches = Batches(tokens, 16, 1, 0)
    seen = {token for step in range(20 * len(batches)) for token in batches.batch(step)[0, 1:].tolist()}
    assert seen == set(range(1, 1000))
    firsts = {int(batches.batch(step)[0, 1]) for step in range(20 * len(batches))}
    assert len(firsts) > 5 * len(batches)  # the cuts differ from epoch to epoch


def test_a_text_shorter_than_a_window():
    with pytest.raises(MinigptError, match="16 tokens, but one window needs 17"):
        Batches(tokens_of(16), 16, 1, 0)
