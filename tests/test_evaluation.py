"""Evaluation: exact, fair to every context and tokeniser, and right about the Oracle, who knows every answer."""

import math

import numpy as np
import pytest
import torch

from minigpt import tales
from minigpt.corpora import open_corpus
from minigpt.datasets import prepare
from minigpt.evaluation import (
    bits_per_character,
    floor_bits_per_character,
    report_on_tales,
    sample_documents,
    score,
    split_documents,
    token_starts,
    validity,
)
from minigpt.language_model import LanguageModel
from minigpt.sampling import Sampler
from minigpt.tokenizers import ByteTokenizer, train_byte_pairs
from minigpt.transformer import GPT, GPTConfig

LANGUAGES = {"tales": "english", "tales-zh": "chinese"}
both_languages = pytest.mark.parametrize(("corpus", "language"), LANGUAGES.items())


class Uniform(LanguageModel):
    def __init__(self, vocabulary_size, context_length=None):
        self.vocabulary_size, self.context_length = vocabulary_size, context_length

    def log_probs(self, ids):
        assert self.context_length is None or ids.shape[1] <= self.context_length
        return torch.full((*ids.shape, self.vocabulary_size), -math.log(self.vocabulary_size))


def some_documents(*lengths, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(49, size=length) for length in lengths]


def small_gpt(context_length=16):
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocabulary_size=50, context_length=context_length, n_layers=1, n_heads=2, width=16))
    torch.nn.init.normal_(model.head.weight)
    return model.eval()


def test_each_token_is_scored_once_and_the_end_too():
    documents = some_documents(5, 1, 0, 12)
    for scores, document in zip(score(Uniform(50), documents, 49), documents, strict=True):
        assert scores.nats == pytest.approx([math.log(50)] * (len(document) + 1))


@torch.no_grad()
def test_a_document_within_the_context_is_scored_as_one_row():
    model, (document,) = small_gpt(), some_documents(15)
    row = torch.tensor([[49, *document, 49]])
    losses = torch.nn.functional.cross_entropy(model(row[:, :-1])[0], row[0, 1:], reduction="none")
    (scores,) = score(model, [document], 49)
    assert scores.nats == pytest.approx(losses.numpy(), abs=1e-5)
    assert scores.hits.tolist() == (model(row[:, :-1])[0].argmax(-1) == row[0, 1:]).tolist()


@torch.no_grad()
def test_a_longer_document_is_read_with_at_least_half_a_context():
    model, (document,) = small_gpt(), some_documents(61)
    sequence = [49, *document, 49]
    (scores,) = score(model, [document], 49)
    for position in range(len(sequence) - 1):
        losses = []
        for length in range(min(8, position + 1), min(16, position + 1) + 1):
            row = torch.tensor([sequence[position + 1 - length : position + 1]])
            losses.append(-model(row)[0, -1].log_softmax(-1)[sequence[position + 1]].item())
        assert min(abs(loss - scores.nats[position]) for loss in losses) < 1e-5


def test_the_batches_do_not_matter(monkeypatch):
    model, documents = small_gpt(), some_documents(5, 40, 3, 16, 17, 0, 30)
    together = score(model, documents, 49)
    monkeypatch.setattr("minigpt.evaluation.MOST_LOGITS", 1)
    alone = score(model, documents, 49)
    for first, second in zip(together, alone, strict=True):
        assert first.nats == pytest.approx(second.nats, abs=1e-5)


@both_languages
def test_the_oracles_gap_is_zero_and_its_answers_are_right(tmp_path, corpus, language):
    oracle = tales.Oracle(language)
    _, validation = prepare(open_corpus(corpus), oracle.tokenizer, tmp_path, 5_000, 5_000)
    texts = [oracle.tokenizer.decode(document) for document in split_documents(validation)]
    floor = floor_bits_per_character(texts, language)
    assert bits_per_character(oracle, validation, oracle.tokenizer.end_of_text) == pytest.approx(floor, abs=1e-9)
    report = report_on_tales(oracle, oracle.tokenizer, texts, language)
    assert report.gap == pytest.approx(0, abs=1e-9)
    assert report.answer_accuracy == 1.0
    assert report.questions > 20
    for model, truth in report.bits_by_kind.values():
        assert model == pytest.approx(truth, abs=0.01)  # a choice's bits may fall on letters that it shares


def test_bits_per_character_do_not_depend_on_how_a_text_is_cut(tmp_path):
    """A model that knows nothing but is fair to characters scores the same through two tokenisers."""
    corpus = open_corpus("tales")
    for tokenizer in (ByteTokenizer(), train_byte_pairs(tales.document("english", "train", 0), 300)):
        _, validation = prepare(corpus, tokenizer, tmp_path, 5_000, 5_000)
        bits = bits_per_character(Uniform(tokenizer.vocabulary_size), validation, tokenizer.end_of_text)
        expected = math.log2(tokenizer.vocabulary_size) * len(validation.ids) / validation.characters
        assert bits == pytest.approx(expected)


@pytest.mark.parametrize("language", LANGUAGES.values())
def test_where_tokens_start(language):
    text = tales.document(language, "train", 3)
    tokenizer = train_byte_pairs(tales.document(language, "train", 0), 300)
    ids = tokenizer.encode(text)
    starts = token_starts(tokenizer, ids)
    assert starts[0] == 0
    assert starts[-1] == len(text)
    assert starts == sorted(starts)
    for first in range(0, len(ids), 7):
        if starts[first] < len(tokenizer.decode(ids[:first]).rstrip("\ufffd")):
            continue
        assert tokenizer.decode(ids[:first]).rstrip("\ufffd") == text[: starts[first]]


def test_the_oracles_samples_are_valid_and_a_new_models_are_not():
    oracle = tales.Oracle()
    samples = sample_documents(oracle, oracle.tokenizer, 2, Sampler(), most_tokens=40)
    assert all(tales.read(sample).impossible_at is None for sample in samples)
    assert validity(samples) == 0.0  # they break off
    documents = [tales.document("english", "train", index) for index in range(3)]
    assert validity([*documents, documents[0][:-1]]) == 0.75
