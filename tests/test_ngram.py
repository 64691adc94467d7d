"""n-gram models: NLTK's and KenLM's probabilities, counts, distributions that sum to 1, and bad input."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nltk.lm import MLE, KneserNeyInterpolated, Lidstone
from nltk.util import everygrams

from minigpt.errors import MinigptError
from minigpt.evaluation import score
from minigpt.ngram import (
    AddK,
    Interpolation,
    KneserNey,
    MaximumLikelihood,
    ModifiedKneserNey,
    count_ngrams,
    find,
    perplexity,
)
from minigpt.sampling import Sampler, complete

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "kneser_ney"
MODELS = [MaximumLikelihood, AddK, Interpolation, KneserNey, ModifiedKneserNey]
every_model = pytest.mark.parametrize("model", MODELS)
V, END = 6, 5


def some_text(length, seed=0, vocabulary_size=V):
    """Tokens of which the first are much more frequent, and the last never occurs."""
    weights = np.append(0.6 ** np.arange(vocabulary_size - 1), 0)
    return np.random.default_rng(seed).choice(vocabulary_size, size=length, p=weights / weights.sum())


def some_documents(seed=0):
    """A stream of 30 documents, each begun and the last also ended by END."""
    random = np.random.default_rng(seed)
    documents = [random.integers(V - 1, size=length) for length in random.integers(12, size=30)]
    return np.concatenate([*[np.append(END, document) for document in documents], [END]])


def after(model, *history):
    """The distribution after a history."""
    return model.log_probs(torch.tensor([history]))[0, -1].exp().numpy()


# Beside NLTK


def theirs(kind, order, text, **settings):
    words = [str(token) for token in text]
    model = kind(order=order, **settings)
    model.fit([list(everygrams(words, max_len=order))], [str(token) for token in range(V - 1)])
    return model


def histories_of(length):
    return np.stack(np.meshgrid(*[range(V - 1)] * length), axis=-1).reshape(-1, length).tolist()


@pytest.mark.parametrize(("order", "discount"), [(2, 0.1), (3, 0.75), (4, 0.4), (5, 1.0)])
def test_kneser_ney_has_nltks_probabilities_after_every_history_seen_or_not(order, discount):
    text = some_text(120, seed=order)
    text = np.append(text, text[: order + 1])  # NLTK divides by zero where a history stands at the beginning alone
    reference = theirs(KneserNeyInterpolated, order, text, discount=discount)
    model = KneserNey(V, order, discount=discount).fit(text)
    histories = histories_of(order - 1)[:: max(1, 5 ** (order - 1) // 60)]
    ours = model.log_probs(torch.tensor(histories))[:, -1, : V - 1].exp().numpy()
    nltks = [[reference.score(str(word), tuple(map(str, history))) for word in range(V - 1)] for history in histories]
    np.testing.assert_allclose(ours, nltks, rtol=0, atol=1e-9)


def test_maximum_likelihood_and_add_k_have_nltks_probabilities():
    text = some_text(60)
    for ours, reference in [
        (MaximumLikelihood(V, 2).fit(text), theirs(MLE, 2, text)),
        (AddK(V, 2, k=0.3).fit(text), theirs(Lidstone, 2, text, gamma=0.3)),  # its <UNK> is our last token
    ]:
        for history in range(V - 2):
            for token in range(V - 1):
                wanted = reference.score(str(token), (str(history),))
                assert after(ours, history)[token] == pytest.approx(wanted, abs=1e-12), (history, token)


# Beside KenLM


def read_arpa(path):
    """For each n-gram its log10 probability and back-off weight."""
    fields = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line]
    return {tuple(words.split()): (float(p), float(*back_off or [0])) for p, words, *back_off in fields}


@pytest.mark.skipif(not GOLDEN.exists(), reason=f"the golden data is not at {GOLDEN}")
def test_modified_kneser_ney_has_kenlms_probabilities_after_every_history():
    arpa = read_arpa(GOLDEN / "lm.arpa")
    sentences = [line.split() for line in (GOLDEN / "corpus.txt").read_text(encoding="utf-8").splitlines()]
    names = [*sorted({word for sentence in sentences for word in sentence}), "<unk>", "</s>"]
    ids = {name: id for id, name in enumerate(names)} | {"<s>": len(names) - 1}
    stream = [ids[word] for sentence in sentences for word in ["<s>", *sentence]] + [ids["</s>"]]
    model = ModifiedKneserNey(len(names), 3, ids["</s>"]).fit(stream)

    def log10(history, word):
        if (*history, word) in arpa:
            return arpa[(*history, word)][0]
        return arpa.get(history, (0, 0))[1] + log10(history[1:], word)

    histories = [ngram for ngram in arpa if len(ngram) < 3 and ngram[-1] not in ("</s>", "<unk>")] + [("<unk>",)]
    assert len(histories) > 250
    for history in histories:
        ours = model.log_probs(torch.tensor([[ids[word] for word in history]]))[0, -1] / math.log(10)
        np.testing.assert_allclose(ours, [log10(history, name) for name in names], rtol=0, atol=1e-6)  # of the file


# Beside plain counting


def test_counts_are_those_of_a_dictionary():
    text = some_text(300)
    for length, level in enumerate(count_ngrams(text, 5, V), 1):
        ngrams = [tuple(text[i - length + 1 : i + 1]) for i in range(max(1, length - 1), len(text))]
        expected = Counter(ngrams)
        assert sorted(level.counts[level.counts > 0]) == sorted(expected.values())
        if length < 5:
            longer = {tuple(text[i - length : i + 1]) for i in range(length, len(text))}
            different = Counter(ngram[1:] for ngram in longer)
            assert sorted(level.continuations[level.continuations > 0]) == sorted(different.values())


def test_maximum_likelihood_is_the_ratio_of_two_counts():
    model = MaximumLikelihood(3, 3).fit([0, 1, 0, 1, 2, 0, 1, 0])
    np.testing.assert_allclose(after(model, 0, 1), [2 / 3, 0, 1 / 3], rtol=1e-15)  # processors round exp differently
    assert after(model, 2, 0).tolist() == [0, 1, 0]
    unigrams = MaximumLikelihood(3, 1).fit([0, 1, 0, 1, 2, 0, 1, 0])
    np.testing.assert_allclose(after(unigrams, 0), [3 / 7, 3 / 7, 1 / 7], rtol=1e-15)


def test_add_k_by_hand_after_seen_and_unseen_histories():
    model = AddK(3, 3, k=0.5).fit([0, 1, 0, 1, 2, 0, 1, 0])
    np.testing.assert_allclose(after(model, 0, 1), [2.5 / 4.5, 0.5 / 4.5, 1.5 / 4.5])
    np.testing.assert_allclose(after(model, 2, 2), [1 / 3] * 3)


def test_interpolation_by_hand():
    model = Interpolation(2, 2, weights=[0.5, 0.75]).fit([0, 0, 1, 0, 0])
    unigram = 0.5 * np.array([3 / 4, 1 / 4]) + 0.5 / 2
    np.testing.assert_allclose(after(model, 0), 0.75 * np.array([2 / 3, 1 / 3]) + 0.25 * unigram)


def test_modified_kneser_neys_discounts_by_hand():
    counts = np.repeat([1, 2, 3, 4, 9], [10, 5, 3, 2, 7])
    y = 10 / 20
    expected = [0, 1 - 2 * y * 5 / 10, 2 - 3 * y * 3 / 5, 3 - 4 * y * 2 / 3]
    np.testing.assert_allclose(ModifiedKneserNey(V, 2).discounts(counts, 2), expected)


@pytest.mark.parametrize("counts", [[1, 1, 2, 3], [7, 8], [1, 2] + 9 * [3] + [4]])
def test_discounts_that_cannot_be_estimated_are_kenlms_fallback(counts):
    assert ModifiedKneserNey(V, 2).discounts(np.array(counts), 2).tolist() == [0, 0.5, 1, 1.5]


def test_find_gives_places_or_the_number_of_keys():
    keys = np.array([3, 4, 9])
    assert find(keys, np.array([[9, 3], [0, 10]])).tolist() == [[2, 0], [3, 3]]


# Distributions


@every_model
@given(
    ids=st.lists(st.integers(0, V - 1), min_size=2, max_size=40),
    order=st.integers(1, 6),
    end=st.sampled_from([None, END]),
    asked=st.lists(st.integers(0, V - 1), min_size=1, max_size=10),
)
def test_every_distribution_sums_to_1(model, ids, order, end, asked):
    probabilities = model(V, order, end).fit(ids).log_probs(torch.tensor([asked])).exp()
    assert probabilities.shape == (1, len(asked), V)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(dim=2), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", [AddK, Interpolation, ModifiedKneserNey])
def test_smoothing_leaves_nothing_impossible(model):
    fitted = model(V, 4).fit(some_text(200))
    assert torch.isfinite(fitted.log_probs(torch.tensor(histories_of(3)))).all()


def test_maximum_likelihood_and_nltks_kneser_ney_rule_out_what_was_never_seen():
    for model in (MaximumLikelihood(V, 3), KneserNey(V, 3)):
        assert after(model.fit(some_text(200)), 0, 1)[V - 1] == 0


@pytest.mark.parametrize("model", [MaximumLikelihood, Interpolation, KneserNey, ModifiedKneserNey])
def test_after_an_unseen_history_comes_what_comes_after_its_end(model):
    fitted = model(V, 4).fit([0, 1, 2, 3, 0, 1, 3, 2, 1])
    np.testing.assert_array_equal(after(fitted, 3, 2, 0), after(fitted, 0))
    np.testing.assert_array_equal(after(fitted, 4, 0, 1), after(fitted, 0, 1))


@every_model
def test_the_whole_batch_at_once_is_each_prefix_alone(model):
    fitted = model(V, 4, END).fit(some_documents())
    ids = torch.from_numpy(np.random.default_rng(1).integers(V, size=(3, 9)))
    together = fitted.log_probs(ids)
    for t in range(9):
        torch.testing.assert_close(fitted.log_probs(ids[:, : t + 1])[:, -1], together[:, t], rtol=0, atol=0)


def test_blocks_join_without_a_seam(monkeypatch):
    model = ModifiedKneserNey(V, 3, END).fit(some_documents())
    ids = torch.from_numpy(np.random.default_rng(1).integers(V, size=(3, 50)))
    whole = model.log_probs(ids)
    monkeypatch.setattr("minigpt.ngram.BLOCK", 7 * V)
    assert torch.equal(model.log_probs(ids), whole)


# Documents


@every_model
def test_no_history_reaches_across_the_beginning_of_a_document(model):
    fitted = model(V, 4, END).fit(some_documents())
    for begun in ([], [0], [1, 0]):
        np.testing.assert_array_equal(after(fitted, 2, 3, END, *begun), after(fitted, END, *begun))


def test_the_order_of_documents_does_not_matter():
    documents = [[0, 1, 2], [2, 1], [], [0, 0, 3, 1, 1]]
    streams = [
        np.array([id for document in ds for id in [END, *document]] + [END]) for ds in (documents, documents[::-1])
    ]
    rows = [ModifiedKneserNey(V, 3, END).fit(ids).log_probs(torch.tensor(histories_of(3))) for ids in streams]
    assert torch.equal(*rows)


def test_maximum_likelihood_gives_its_own_documents_the_loss_that_counting_gives():
    stream = some_documents()
    starts = np.flatnonzero(stream == END)
    documents = [stream[a + 1 : b].tolist() for a, b in zip(starts, starts[1:])]
    model = MaximumLikelihood(V, 3, END).fit(stream)
    pairs, histories, expected = Counter(), Counter(), 0.0
    events = [([END, *d, END][max(0, i - 2) : i], [*d, END][i - 1]) for d in documents for i in range(1, len(d) + 2)]
    for history, token in events:
        pairs[(*history, token)] += 1
        histories[tuple(history)] += 1
    for history, token in events:
        expected -= math.log(pairs[(*history, token)] / histories[tuple(history)])
    assert sum(scores.nats.sum() for scores in score(model, documents, END)) == pytest.approx(expected, rel=1e-12)
    assert perplexity(model, documents, END) == pytest.approx(math.exp(expected / len(events)), rel=1e-12)


# The rest of the protocol


def test_advance_remembers_what_the_order_needs():
    model = ModifiedKneserNey(V, 4, END).fit(some_documents())
    ids = torch.from_numpy(np.random.default_rng(2).integers(V, size=(2, 12)))
    log_probs, state = model.advance(ids[:, :5])
    for t in range(5, 12):
        torch.testing.assert_close(log_probs, model.log_probs(ids[:, :t])[:, -1], rtol=0, atol=0)
        log_probs, state = model.advance(ids[:, t : t + 1], state)
        assert state.shape == (2, 3)


def test_generation_takes_it_as_it_is():
    model = MaximumLikelihood(3, 3).fit([0, 1, 2] * 5)
    written = complete(model, torch.tensor([[0, 1]]), 7, Sampler(), seed=0)
    assert written.tolist() == [[2, 0, 1, 2, 0, 1, 2]]


def test_perplexity_of_equal_chances_is_their_number():
    assert perplexity(AddK(V, 2, END, k=1e12).fit([0, 1, 2]), [[0, 1], [2]], END) == pytest.approx(V)


def test_learned_weights_lose_less_on_the_held_out_text_than_any_nearby():
    def chain(seed):  # each token depends on the two before it, but not always
        random, ids = np.random.default_rng(seed), [END, 0, 1]
        while len(ids) < 400:
            choices = [(ids[-1] + ids[-2]) % 5, ids[-1] * 2 % 5, *random.choice(V - 1, 2, p=[0.5, 0.3, 0.1, 0.1, 0])]
            ids.append(random.choice(choices))
        return np.array([*ids, END])

    text, held_out = chain(0), chain(1)
    model = Interpolation(V, 3, END).fit(text).fit_weights(held_out, steps=1000)
    starts = np.flatnonzero(held_out == END)
    documents = [held_out[a + 1 : b].tolist() for a, b in zip(starts, starts[1:])]

    def loss(weights):
        return math.log(perplexity(Interpolation(V, 3, END, weights).fit(text), documents, END))

    least = loss(model.weights)
    for i in range(3):
        for step in (-0.02, 0.02):
            nearby = model.weights.copy()
            nearby[i] = min(max(nearby[i] + step, 0), 0.999)
            assert loss(nearby) >= least - 1e-6, (i, step)


def test_a_text_shorter_than_the_order_is_enough():
    model = ModifiedKneserNey(V, 8).fit([0, 1, 0])
    np.testing.assert_allclose(after(model, 0, 1, 0, 1, 0, 1).sum(), 1)
    assert len(model.levels) == 3


@pytest.mark.parametrize(("vocabulary_size", "order"), [(1024, 6), (60, 8), (50_000, 8)])
def test_long_ngrams_of_large_vocabularies_do_not_overflow(vocabulary_size, order):
    text = np.random.default_rng(0).integers(vocabulary_size, size=500)
    model = MaximumLikelihood(vocabulary_size, order).fit(text)
    row = model.log_probs(torch.from_numpy(text[None, : order + 1]))[0]
    assert row[order - 2].argmax() == text[order - 1]
    assert row[order - 2].max() == 0


# Bad input


@every_model
@pytest.mark.parametrize("order", [0, -1])
def test_an_order_below_1_is_refused(model, order):
    with pytest.raises(MinigptError, match="order"):
        model(V, order)


@pytest.mark.parametrize("ids", [[], [1], [[1, 2], [3, 4]]])
def test_a_text_without_anything_to_predict_is_refused(ids):
    with pytest.raises(MinigptError, match="at least two tokens"):
        MaximumLikelihood(V, 2).fit(ids)


@pytest.mark.parametrize("token", [-1, V])
def test_a_token_outside_the_vocabulary_is_refused(token):
    with pytest.raises(MinigptError, match=f"token {token} is outside"):
        MaximumLikelihood(V, 2).fit([0, token])
    with pytest.raises(MinigptError, match=f"token {token} is outside"):
        MaximumLikelihood(V, 2).fit([0, 1]).log_probs(torch.tensor([[0, token]]))
    with pytest.raises(MinigptError, match=f"token {token} is outside"):
        MaximumLikelihood(V, 2, end_of_text=token)


def test_ids_that_are_no_integers_are_refused():
    with pytest.raises(MinigptError, match="integers"):
        MaximumLikelihood(V, 2).fit([0.0, 1.0])


@pytest.mark.parametrize("k", [0, -1, math.nan, math.inf])
def test_add_k_needs_a_positive_k(k):
    with pytest.raises(MinigptError, match="k is"):
        AddK(V, 2, k=k)


@pytest.mark.parametrize("discount", [-0.1, 1.1, math.nan])
def test_a_discount_outside_0_and_1_is_refused(discount):
    with pytest.raises(MinigptError, match="discount"):
        KneserNey(V, 2, discount=discount)


@pytest.mark.parametrize("weights", [1.0, -0.1, [0.5], [0.5, math.nan]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(MinigptError, match="weights"):
        Interpolation(V, 2, weights=weights)


@every_model
def test_a_model_without_counts_says_so(model):
    with pytest.raises(MinigptError, match="fit first"):
        model(V, 2).log_probs(torch.tensor([[0]]))
