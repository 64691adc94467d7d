"""Sampling: the published sets and probabilities, `transformers`, frequencies, generation, beams, bad settings."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minigpt.errors import MinigptError
from minigpt.language_model import LanguageModel
from minigpt.recurrent import RecurrentLanguageModel
from minigpt.sampling import Sampler, beam_search, complete, generate, min_p, temperature, top_k, top_p
from minigpt.tales import Oracle
from minigpt.transformer import GPT, GPTConfig

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "sampling.json"


class Bigrams(LanguageModel):
    """Next-token probabilities that depend on the last token alone; no state of its own."""

    def __init__(self, log_probs):
        self.table, self.vocabulary_size = log_probs, len(log_probs)

    def log_probs(self, ids):
        return self.table[ids]


def some_log_probs(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).mul(2).log_softmax(-1)


def kept(log_probs):
    return log_probs.isfinite().nonzero()[:, 0].tolist()


def test_the_golden_sets_and_probabilities():
    if not GOLDEN.exists():
        pytest.skip(f"the golden sampling data are not at {GOLDEN}")
    for case in json.loads(GOLDEN.read_text())["cases"]:
        log_probs = torch.tensor(case["logits"], dtype=torch.float64).log_softmax(-1)
        k, p, t = case["top_k"], case["top_p"], case["temperature"]
        assert kept(top_k(log_probs, k)) == case["kept_by_top_k"]
        assert kept(top_p(log_probs, p)) == case["kept_by_top_p"]
        assert kept(top_p(temperature(log_probs, t), p)) == case["kept_by_temperature_then_top_p"]
        assert kept(top_p(top_k(log_probs, k), p)) == case["kept_by_top_k_then_top_p"]
        probabilities = Sampler(temperature=t, top_k=k).rule(log_probs).exp()
        torch.testing.assert_close(
            probabilities, torch.tensor(case["probs_temperature_top_k"], dtype=torch.float64), atol=1e-6, rtol=0
        )


@pytest.fixture(scope="module")
def warpers():
    return pytest.importorskip(
        "transformers.generation.logits_process",
        reason="transformers is not installed: pip install -e '.[reference]'",
        exc_type=ImportError,
    )


def tied_logits(seed):
    """Logits (4, 12) in few different values, so that many tie, also at the edge of what is kept."""
    return torch.randint(-3, 4, (4, 12), generator=torch.Generator().manual_seed(seed)).float()


def random_logits(seed):
    return torch.randn(4, 50, generator=torch.Generator().manual_seed(seed)).mul(3)


TEMPERATURES, KS, PS, MIN_PS = (0.3, 0.7, 1.0, 1.9), (1, 3, 7, 100), (0.1, 0.55, 0.9, 1.0), (0.0, 0.03, 0.3, 1.0)


@pytest.mark.parametrize("make", [random_logits, tied_logits])
@pytest.mark.parametrize("seed", range(10))
def test_each_rule_equals_the_one_of_transformers(warpers, make, seed):
    logits = make(seed)
    pairs = [(temperature, warpers.TemperatureLogitsWarper, value) for value in TEMPERATURES]
    pairs += [(top_k, warpers.TopKLogitsWarper, value) for value in KS]
    pairs += [(top_p, warpers.TopPLogitsWarper, value) for value in PS]
    pairs += [(min_p, warpers.MinPLogitsWarper, value) for value in MIN_PS]
    for ours, theirs, value in pairs:
        expected = theirs(value)(None, logits).log_softmax(-1)
        torch.testing.assert_close(ours(logits.log_softmax(-1), value), expected, msg=f"{ours.__name__}, {value}")


@pytest.mark.parametrize("make", [random_logits, tied_logits])
@pytest.mark.parametrize("seed", range(10))
def test_all_rules_together_equal_those_of_transformers(warpers, make, seed):
    logits = make(seed)
    for t, k, p, least in itertools.product(TEMPERATURES, KS, PS, MIN_PS):
        expected = logits
        for warper in (
            warpers.TemperatureLogitsWarper(t),
            warpers.TopKLogitsWarper(k),
            warpers.TopPLogitsWarper(p),
            warpers.MinPLogitsWarper(least),
        ):
            expected = warper(None, expected)
        ours = Sampler(t, k, p, least).rule(logits.log_softmax(-1))
        torch.testing.assert_close(ours, expected.log_softmax(-1), msg=f"{(t, k, p, least)}")


@given(st.integers(0, 10**6), st.floats(0.05, 5), st.integers(1, 30), st.floats(0.01, 1), st.floats(0, 1))
def test_every_rule_gives_a_distribution(seed, t, k, p, least):
    for log_probs in (
        temperature(some_log_probs(20, seed=seed), t),
        top_k(some_log_probs(20, seed=seed), k),
        top_p(some_log_probs(20, seed=seed), p),
        min_p(some_log_probs(20, seed=seed), least),
        Sampler(t, k, p, least).rule(some_log_probs(3, 20, seed=seed)),
    ):
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:-1]))


@given(st.integers(0, 10**6), st.floats(0.05, 0.999))
def test_top_p_keeps_the_fewest_that_reach_p(seed, p):
    probabilities = some_log_probs(20, seed=seed).exp()
    keep = kept(top_p(probabilities.log(), p))
    assert probabilities[keep].sum() >= p - 1e-5
    least = probabilities[keep].min()
    assert len(keep) == 1 or probabilities[keep].sum() - least < p + 1e-5


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_min_p_keeps_what_is_probable_beside_the_best(seed, p):
    probabilities = some_log_probs(20, seed=seed).exp()
    keep = kept(min_p(probabilities.log(), p))
    assert keep == [n for n, probability in enumerate(probabilities) if probability >= p * probabilities.max()]


@pytest.mark.parametrize("rule", [lambda x: top_k(x, 3), lambda x: top_p(x, 0.7), lambda x: min_p(x, 0.2)])
def test_rules_treat_every_row_by_itself_and_keep_the_odds_of_what_they_keep(rule):
    log_probs = some_log_probs(2, 3, 20)
    together = rule(log_probs)
    for row, column in itertools.product(range(2), range(3)):
        torch.testing.assert_close(together[row, column], rule(log_probs[row, column]))
        keep = kept(together[row, column])
        shift = together[row, column, keep] - log_probs[row, column, keep]
        torch.testing.assert_close(shift, shift[:1].expand_as(shift))


def test_greedy_is_temperature_zero():
    log_probs = some_log_probs(5, 20)
    assert torch.equal(Sampler(temperature=0)(log_probs, torch.Generator()), log_probs.argmax(-1))


def test_frequencies():
    log_probs = some_log_probs(8)
    rows, sampler = 40_000, Sampler(temperature=0.8, top_k=5)
    drawn = sampler(log_probs.expand(rows, 8), torch.Generator().manual_seed(0))
    expected = sampler.rule(log_probs).exp()
    frequencies = torch.bincount(drawn, minlength=8) / rows
    assert ((frequencies - expected).abs() <= 4 * (expected * (1 - expected) / rows).sqrt()).all()


def test_the_same_seed_gives_the_same_text():
    model, start = Bigrams(some_log_probs(20, 20)), torch.zeros(3, 1, dtype=torch.long)
    first, again, other = (complete(model, start, 30, Sampler(), seed=seed) for seed in (1, 1, 2))
    assert first.shape == (3, 30)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_generation_follows_the_model():
    """A model in which token n is always followed by n + 1."""
    certain = torch.full((10, 10), -math.inf)
    certain[torch.arange(10), torch.arange(1, 11) % 10] = 0.0
    assert complete(Bigrams(certain), torch.tensor([[3], [7]]), 4, Sampler()).tolist() == [[4, 5, 6, 7], [8, 9, 0, 1]]


def test_rows_stop_one_by_one():
    certain = torch.full((10, 10), -math.inf)
    certain[torch.arange(10), torch.arange(1, 11) % 10] = 0.0
    written = complete(Bigrams(certain), torch.tensor([[3], [6]]), 50, Sampler(), stop=9)
    assert written.tolist() == [[4, 5, 6, 7, 8, 9], [7, 8, 9, 9, 9, 9]]


def test_generation_streams():
    model = Bigrams(some_log_probs(20, 20))
    tokens = generate(model, torch.zeros(1, 1, dtype=torch.long), 10**9, Sampler())
    assert next(tokens).shape == (1,)  # long before the billionth


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": 0}, "k must be at least 1, not 0"),
        ({"top_p": 1.5}, "at most 1, not 1.5"),
        ({"top_p": 0}, "above 0"),
        ({"min_p": -0.1}, "from 0 to 1, not -0.1"),
        ({"min_p": 1.1}, "from 0 to 1, not 1.1"),
        ({"min_p": math.nan}, "from 0 to 1, not nan"),
    ],
)
def test_impossible_settings(settings, complaint):
    with pytest.raises(MinigptError, match=complaint):
        Sampler(**settings)


# Beam search


def every_text(model, prompt, n_tokens, stop=None):
    """Each possible continuation of a prompt (a list), repeated stops at its end, with its log-probability."""
    found = {}
    for tokens in itertools.product(range(model.vocabulary_size), repeat=n_tokens):
        written = tokens[: tokens.index(stop) + 1] if stop in tokens else tokens
        log_probs = model.log_probs(torch.tensor([[*prompt, *written]]))[0].double()
        score = sum(log_probs[len(prompt) - 1 + n, token].item() for n, token in enumerate(written))
        found[written + (stop,) * (n_tokens - len(written))] = score, len(written)
    return found


@pytest.mark.parametrize("stop", [None, 3])
@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0])
def test_a_beam_that_holds_everything_finds_what_exhaustive_search_finds(stop, length_penalty):
    torch.manual_seed(0)
    model, prompts, width = RecurrentLanguageModel(4, 8), [[0, 1], [2, 2]], 4**4
    texts, scores = beam_search(model, torch.tensor(prompts), 4, width, length_penalty=length_penalty, stop=stop)
    for prompt, row, row_scores in zip(prompts, texts.tolist(), scores):
        found = every_text(model, prompt, 4, stop)
        ranks = {text: score / length**length_penalty for text, (score, length) in found.items()}
        possible = [tuple(text) for text, score in zip(row, row_scores) if score > -math.inf]
        assert sorted(possible) == sorted(found)
        assert possible[:5] == sorted(ranks, key=ranks.get, reverse=True)[:5]
        expected = torch.tensor([found[text][0] for text in possible], dtype=torch.float64)
        torch.testing.assert_close(row_scores[: len(possible)], expected, atol=1e-5, rtol=0)


def models():
    torch.manual_seed(1)
    gpt = GPT(GPTConfig(vocabulary_size=20, context_length=32, n_layers=1, n_heads=2, width=16))
    torch.nn.init.normal_(gpt.head.weight)
    return [Bigrams(some_log_probs(20, 20)), RecurrentLanguageModel(20, 16), gpt]


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_a_beam_of_one_is_greedy(model):
    prompts = torch.arange(8).view(4, 2)
    texts, _ = beam_search(model, prompts, 12, 1, stop=9)
    greedy = complete(model, prompts, 12, Sampler(temperature=0), stop=9)
    assert torch.equal(texts[:, 0], greedy)


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_the_scores_are_the_log_probabilities_and_rows_do_not_disturb_each_other(model):
    prompts = torch.arange(8).view(4, 2)
    texts, scores = beam_search(model, prompts, 6, 3)
    for prompt, row, row_scores in zip(prompts, texts, scores):
        alone, alone_scores = beam_search(model, prompt[None], 6, 3)
        assert torch.equal(alone[0], row)
        torch.testing.assert_close(alone_scores[0], row_scores, atol=1e-5, rtol=1e-6)
        ids = torch.cat([prompt.expand(3, 2), row], dim=1)
        log_probs = model.log_probs(ids[:, :-1])[:, 1:].gather(2, row[..., None])[..., 0]
        torch.testing.assert_close(log_probs.double().sum(1), row_scores, atol=1e-5, rtol=1e-6)
        assert row_scores.tolist() == sorted(row_scores.tolist(), reverse=True)


def hand_made():
    """After 0 the best step, to 1, leads to nothing certain; the second best, to 2, leads to a certain 3."""
    rows = [[0, 0.6, 0.4, 0, 0], [0.25, 0.25, 0.25, 0, 0.25], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]]
    return Bigrams(torch.tensor(rows).log())


def test_greedy_is_wrong_where_a_beam_of_two_is_right():
    start = torch.tensor([[0]])
    assert complete(hand_made(), start, 2, Sampler(temperature=0)).tolist() == [[1, 0]]
    texts, scores = beam_search(hand_made(), start, 2, 2)
    assert texts[0, 0].tolist() == [2, 3]
    assert scores.exp()[0].tolist() == pytest.approx([0.4, 0.15])


def test_the_length_penalty_decides_between_a_short_text_and_a_long_one():
    """The end at once has probability 0.4, three sure steps after a first one of 0.35 and then the end: 0.35."""
    rows = torch.zeros(5, 5)
    rows[0, [4, 1, 2]] = torch.tensor([0.4, 0.35, 0.25])
    rows[1, 3] = rows[3, 4] = rows[2, 4] = rows[4, 4] = 1
    for length_penalty, expected in ((0.0, [4, 4, 4]), (1.0, [1, 3, 4])):
        texts, _ = beam_search(Bigrams(rows.log()), torch.tensor([[0]]), 9, 3, length_penalty=length_penalty, stop=4)
        assert texts[0, 0].tolist() == expected  # and the search stops when all have ended


def test_where_fewer_texts_are_possible_the_beam_is_not_full_and_the_impossible_are_never_read():
    oracle = Oracle()  # which refuses to read what is impossible
    end = oracle.tokenizer.end_of_text
    texts, scores = beam_search(oracle, torch.tensor([[end]]), 3, 12)
    beginnings = {
        oracle.tokenizer.decode(text) for text, score in zip(texts[0].tolist(), scores[0]) if score.isfinite()
    }
    assert 0 < len(beginnings) < 12
    assert "Onc" in beginnings
    assert scores.exp().sum() == pytest.approx(1.0)


def test_beyond_the_context_a_beam_sees_the_last_tokens():
    short, unlimited = Bigrams(some_log_probs(20, 20)), Bigrams(some_log_probs(20, 20))
    short.context_length = 1  # which is all that a bigram looks at
    start = torch.tensor([[3, 4], [5, 6]])
    for ours, expected in zip(beam_search(short, start, 10, 3), beam_search(unlimited, start, 10, 3)):
        assert torch.equal(ours, expected)


def test_without_an_end_the_beam_is_that_of_transformers():
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: pip install -e '.[reference]'", exc_type=ImportError
    )
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=30, n_positions=32, n_embd=16, n_layer=1, n_head=2, initializer_range=0.5, bos_token_id=None,
        eos_token_id=None,
    )  # fmt: skip
    theirs = transformers.GPT2LMHeadModel(config).eval()

    class Wrapped(LanguageModel):
        vocabulary_size, context_length = 30, 32

        @torch.no_grad()
        def log_probs(self, ids):
            return theirs(ids).logits.log_softmax(-1)

    prompts = torch.randint(30, (3, 4))
    texts, scores = beam_search(Wrapped(), prompts, 8, 5, length_penalty=1.0)
    expected = theirs.generate(
        prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=8, num_beams=5, num_return_sequences=5,
        length_penalty=1.0, do_sample=False, pad_token_id=0, return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    assert torch.equal(texts.flatten(0, 1), expected.sequences[:, 4:])
    torch.testing.assert_close((scores / 8).flatten().float(), expected.sequences_scores, atol=1e-4, rtol=0)


def test_a_beam_needs_a_width():
    with pytest.raises(MinigptError, match="width is 0"):
        beam_search(Bigrams(some_log_probs(4, 4)), torch.zeros(1, 1, dtype=torch.long), 2, 0)
