"""Right and wrong answers to chapter 04's exercises (see README.md)."""

import math
from collections import Counter

import numpy as np
import torch

from minigpt import tales
from minigpt.evaluation import report_on_tales, score
from minigpt.ngram import AddK, Estimate, KneserNey, ModifiedKneserNey, sums
from minigpt.tokenizers import CharacterTokenizer

remembered = {}


def encoded(split, numbers, language="english"):
    tokenizer = CharacterTokenizer(tales.alphabet(language))
    return [tokenizer.encode(tales.document(language, split, index)) for index in numbers]


def sizes(language="english"):
    tokenizer = CharacterTokenizer(tales.alphabet(language))
    return tokenizer.vocabulary_size, tokenizer.end_of_text


def stream_of(documents, end):
    return [token for document in documents for token in [end, *document]]


def fitted(order, amount):
    V, end = sizes()
    return ModifiedKneserNey(V, order, end).fit(stream_of(encoded("train", range(amount)), end))


def nats_of(model, amount=20, split="validation"):
    _, end = sizes()
    return [scores.nats.sum() for scores in score(model, encoded(split, range(amount)), end)]


def characters_of(amount=20, split="validation"):
    return sum(map(len, encoded(split, range(amount))))


# 1: how many n-grams -------------------------------------------------------------------------------------------------


@right  # counted
def number_of_ngrams(length, n):
    return sum(1 for start in range(length) if start + n <= length)


@right  # the length of a range
def number_of_ngrams(length: int, n: int) -> int:
    return len(range(length - n + 1))


@right  # two cases
def number_of_ngrams(length, n):
    if n > length:
        return 0
    return length - (n - 1)


@right  # in NumPy
def number_of_ngrams(length, n):
    return np.maximum(length - n + 1, 0)


@right  # by itself
def number_of_ngrams(length, n):
    return 0 if length < n else 1 + number_of_ngrams(length - 1, n)


@wrong("they begin at the places from 0 to")
def number_of_ngrams(length, n):  # off by one
    return max(0, length - n)


@wrong("has none")
def number_of_ngrams(length, n):  # below zero
    return length - n + 1


@wrong("they begin at the places from 0 to")
def number_of_ngrams(length, n):  # side by side, not at each place
    return length // n


@wrong("they begin at the places from 0 to")
def number_of_ngrams(length, n):  # one at each place
    return length


@wrong("returns float, not a whole number")
def number_of_ngrams(length, n):
    return max(0.0, length - n + 1)


@wrong("returns NoneType, not a whole number")
def number_of_ngrams(length, n):  # printed, not returned
    print(max(0, length - n + 1))


@wrong("has none")
def number_of_ngrams(length, n):  # always one
    return max(1, length - n + 1)


@wrong("has none")
def number_of_ngrams(length, n):  # the sign lost
    return abs(length - n + 1)


@wrong("they begin at the places from 0 to")
def number_of_ngrams(length, n):  # of all lengths up to n
    return sum(max(0, length - k + 1) for k in range(1, n + 1))


@wrong("they begin at the places from 0 to")
def number_of_ngrams(length, n):  # how many there could be of 26 letters
    return 26**n


@wrong("returns list, not a whole number")
def number_of_ngrams(length, n):  # the places, not their number
    return list(range(length - n + 1))


@wrong("they begin at the places from 0 to")
def number_of_ngrams(length, n):  # the example of the chapter
    return 10


# 2: stupid backoff ---------------------------------------------------------------------------------------------------


@right  # a loop
def stupid_backoff(counts, character, history):
    score = 1.0
    while history and history + character not in counts:
        history, score = history[1:], score * 0.4
    return score * counts.get(history + character, 0) / counts[history]


@right  # a Counter, which knows zeros
def stupid_backoff(counts, character, history):
    counts = Counter(counts)
    seen = counts[history + character]
    if seen > 0 or history == "":
        return seen / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:])


@right  # the number of steps
def stupid_backoff(counts, character, history, factor=0.4):
    for steps in range(len(history) + 1):
        known = history[steps:]
        if known + character in counts:
            return factor**steps * counts[known + character] / counts[known]
    return 0


@right  # a NumPy float
def stupid_backoff(counts, character, history):
    score = np.float64(counts.get(character, 0)) / counts[""]
    for start in range(len(history) - 1, -1, -1):  # from the shortest history to the longest
        longer = history[start:] + character
        score = counts[longer] / np.float64(counts[history[start:]]) if longer in counts else 0.4 * score
    return score


@wrong("each for a factor of 0.4")
def stupid_backoff(counts, character, history):  # no factor
    if history + character in counts:
        return counts[history + character] / counts[history]
    return stupid_backoff(counts, character, history[1:]) if history else 0.0


@wrong("of the history go, each")
def stupid_backoff(counts, character, history):  # the nearest character goes first
    if history + character in counts:
        return counts[history + character] / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[:-1]) if history else 0.0


@wrong("' occur ")
def stupid_backoff(counts, character, history):  # of all characters, not of the history
    if history + character in counts:
        return counts[history + character] / counts[""]
    return 0.4 * stupid_backoff(counts, character, history[1:]) if history else 0.0


@wrong("' occur ")
def stupid_backoff(counts, character, history):  # the history of the n-gram that is one longer
    if history + character in counts:
        return counts[history + character] / counts[character]
    return 0.4 * stupid_backoff(counts, character, history[1:]) if history else 0.0


@wrong("each for a factor of 0.4")
def stupid_backoff(counts, character, history):  # one factor for all steps
    known = history
    while known and known + character not in counts:
        known = known[1:]
    score = counts.get(known + character, 0) / counts[known]
    return score if known == history else 0.4 * score


@wrong("' occur ")
def stupid_backoff(counts, character, history):  # whole numbers
    if history + character in counts:
        return counts[history + character] // counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:]) if history else 0


@wrong("each for a factor of 0.4")
def stupid_backoff(counts, character, history):  # backs off from unseen histories only
    if history in counts:
        return counts.get(history + character, 0) / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:])


@wrong("RecursionError")
def stupid_backoff(counts, character, history):  # no end
    if history + character in counts:
        return counts[history + character] / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:])


@wrong("KeyError")
def stupid_backoff(counts, character, history):  # an unseen history looked up
    if history == "":
        return counts.get(character, 0) / counts[""]
    if counts.get(history + character, 0) / counts[history] > 0:
        return counts[history + character] / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:])


@wrong("' occur ")
def stupid_backoff(counts, character, history):  # interpolated, not backed off
    if not history:
        return counts.get(character, 0) / counts[""]
    direct = counts.get(history + character, 0) / counts.get(history, 1)
    return direct + 0.4 * stupid_backoff(counts, character, history[1:])


@wrong("' occur ")
def stupid_backoff(counts, character, history):  # single characters all alike
    if not history:
        return 1 / len({ngram for ngram in counts if len(ngram) == 1})
    if history + character in counts:
        return counts[history + character] / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:])


@wrong("counts changed during the call")
def stupid_backoff(counts, character, history):  # zeros written down
    counts.setdefault(history + character, 0)
    if counts[history + character]:
        return counts[history + character] / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:]) if history else 0.0


@wrong("' occur ")
def stupid_backoff(counts, character, history):  # remembers another text's scores
    if (character, history) not in remembered:
        if history + character in counts:
            remembered[character, history] = counts[history + character] / counts[history]
        else:
            remembered[character, history] = 0.4 * stupid_backoff(counts, character, history[1:]) if history else 0.0
    return remembered[character, history]


@wrong("is returned as NoneType, not as a number")
def stupid_backoff(counts, character, history):  # the result of the shorter one is lost
    if history + character in counts or not history:
        return counts.get(history + character, 0) / counts[history]
    0.4 * stupid_backoff(counts, character, history[1:])


@wrong("' occur ")
def stupid_backoff(counts, character, history):  # a logarithm
    if history + character in counts:
        return math.log(counts[history + character] / counts[history])
    return math.log(0.4) + stupid_backoff(counts, character, history[1:]) if history else -math.inf


# 3: Witten and Bell --------------------------------------------------------------------------------------------------


@right  # loops
def witten_bell(level, vocabulary_size):
    N, K = [0] * level.n_histories, [0] * level.n_histories
    for key, count in zip(level.keys.tolist(), level.counts.tolist()):
        N[key // vocabulary_size] += count
        K[key // vocabulary_size] += count > 0
    direct = [c / (N[k // vocabulary_size] + K[k // vocabulary_size]) for k, c in zip(level.keys, level.counts)]
    return direct, [k / (n + k) if n else 1.0 for n, k in zip(N, K)]


@right  # what is not direct is shared
def witten_bell(level, vocabulary_size):
    histories = level.keys // vocabulary_size
    both = np.bincount(histories, weights=level.counts + (level.counts > 0), minlength=level.n_histories)
    direct = level.counts / both[histories]
    share = np.ones(level.n_histories)
    np.subtract.at(share, histories, direct)
    return direct, share


@right  # a mask of the histories that were followed, and a list
def witten_bell(level, vocabulary_size):
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, np.minimum(level.counts, 1), vocabulary_size)
    share = np.ones(len(N))
    share[N > 0] = (K / (N + K + (N == 0)))[N > 0]
    return [level.counts / (N + K)[level.keys // vocabulary_size], share]


@right  # tensors
def witten_bell(level, vocabulary_size):
    counts, histories = torch.tensor(level.counts), torch.tensor(level.keys // vocabulary_size)
    N = torch.zeros(level.n_histories).double().index_add(0, histories, counts.double())
    K = torch.zeros(level.n_histories).double().index_add(0, histories, (counts > 0).double())
    return counts / (N + K)[histories], torch.where(N > 0, K / (N + K), 1.0)


@right  # sorted keys: those of a history lie side by side
def witten_bell(level, vocabulary_size):
    direct, share = np.zeros(len(level.keys)), np.ones(level.n_histories)
    for history in np.unique(level.keys // vocabulary_size):
        start, stop = np.searchsorted(level.keys, [history * vocabulary_size, (history + 1) * vocabulary_size])
        counts = level.counts[start:stop]
        kinds = np.count_nonzero(counts)
        direct[start:stop] = counts / (counts.sum() + kinds)
        share[history] = kinds / (counts.sum() + kinds)
    return direct, share


@wrong("for n-grams of length 1, after history 0")
def witten_bell(level, vocabulary_size):  # tokens that never came counted as different ones
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, np.ones(len(level.keys)), vocabulary_size)
    both = np.maximum(N + K, 1)
    return level.counts / both[level.keys // vocabulary_size], np.where(N > 0, K / both, 1.0)


@wrong("the whole")
def witten_bell(level, vocabulary_size):  # nothing left after an unseen history
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, level.counts > 0, vocabulary_size)
    both = np.maximum(N + K, 1)
    return level.counts / both[level.keys // vocabulary_size], K / both


@wrong("share is nan, not 1.000: the whole")
def witten_bell(level, vocabulary_size):  # 0 / 0
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, level.counts > 0, vocabulary_size)
    with np.errstate(invalid="ignore"):
        return level.counts / (N + K)[level.keys // vocabulary_size], K / (N + K)


@wrong(": count / (N + K)")
def witten_bell(level, vocabulary_size):  # maximum likelihood, and a share besides
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, level.counts > 0, vocabulary_size)
    share = np.where(N > 0, K / np.maximum(N + K, 1), 1.0)
    return level.counts / N[level.keys // vocabulary_size], share


@wrong(": K / (N + K)")
def witten_bell(level, vocabulary_size):  # add-one's share: of all tokens
    N = sums(level, level.counts, vocabulary_size)
    both = N + vocabulary_size
    return level.counts / both[level.keys // vocabulary_size], vocabulary_size / both


@wrong(": K / (N + K)")
def witten_bell(level, vocabulary_size):  # what is kept, not what is shared
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, level.counts > 0, vocabulary_size)
    both = np.maximum(N + K, 1)
    return level.counts / both[level.keys // vocabulary_size], np.where(N > 0, N / both, 1.0)


@wrong(": K / (N + K)")
def witten_bell(level, vocabulary_size):  # K of N, not of N + K
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, level.counts > 0, vocabulary_size)
    return level.counts / (N + K)[level.keys // vocabulary_size], np.where(N > 0, K / np.maximum(N, 1), 1.0)


@wrong("for n-grams of length 1, after history 0")
def witten_bell(level, vocabulary_size):  # Kneser and Ney's counts
    N = sums(level, level.continuations, vocabulary_size)
    K = sums(level, level.continuations > 0, vocabulary_size)
    both = np.maximum(N + K, 1)
    return level.continuations / both[level.keys // vocabulary_size], np.where(N > 0, K / both, 1.0)


@wrong("have shapes (7,) and (), not (7, 1)")
def witten_bell(level, vocabulary_size):  # one sum for all histories
    N, K = level.counts.sum(), (level.counts > 0).sum()
    return level.counts / (N + K), K / (N + K)


@wrong("have shapes (1,) and (7,), not (7, 1)")
def witten_bell(level, vocabulary_size):  # the other way round
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, level.counts > 0, vocabulary_size)
    both = np.maximum(N + K, 1)
    return np.where(N > 0, K / both, 1.0), level.counts / both[level.keys // vocabulary_size]


@wrong("return two arrays, direct and share, not Estimate")
def witten_bell(level, vocabulary_size):  # already an Estimate
    N = sums(level, level.counts, vocabulary_size)
    K = sums(level, level.counts > 0, vocabulary_size)
    both = np.maximum(N + K, 1)
    return Estimate(level.counts / both[level.keys // vocabulary_size], np.where(N > 0, K / both, 1.0))


@wrong("the counts of the level changed")
def witten_bell(level, vocabulary_size):  # in place
    K = sums(level, level.counts > 0, vocabulary_size)
    N = sums(level, level.counts, vocabulary_size)
    level.counts[:] = level.counts * 2
    both = np.maximum(N + K, 1)
    return level.counts / 2 / both[level.keys // vocabulary_size], np.where(N > 0, K / both, 1.0)


@wrong("and (6,), not (")
def witten_bell(level, vocabulary_size):  # no place for the last histories, if nothing followed them
    histories = level.keys // vocabulary_size
    N, K = np.bincount(histories, weights=level.counts), np.bincount(histories, weights=level.counts > 0)
    both = np.maximum(N + K, 1)
    return level.counts / both[histories], np.where(N > 0, K / both, 1.0)


@wrong(": count / (N + K)")
def witten_bell(level, vocabulary_size):  # divided to whole numbers
    N = sums(level, level.counts, vocabulary_size).astype(int)
    K = sums(level, level.counts > 0, vocabulary_size).astype(int)
    both = np.maximum(N + K, 1)
    return level.counts // both[level.keys // vocabulary_size], np.where(N > 0, K / both, 1.0)


# 4: bits after so many tales -----------------------------------------------------------------------------------------


@right  # the helpers of this file
def bits_after(order, amount):
    return sum(nats_of(fitted(order, amount))) / math.log(2) / characters_of()


@right  # the report on tales
def bits_after(order, amount):
    held_out = [tales.document("english", "validation", index) for index in range(20)]
    tokenizer = CharacterTokenizer(tales.alphabet("english"))
    return report_on_tales(fitted(order, amount), tokenizer, held_out).bits_per_character


@right  # log-probabilities of one tale after the other
def bits_after(order, amount):
    _, end = sizes()
    model, bits, characters = fitted(order, amount), 0.0, 0
    for document in encoded("validation", range(20)):
        rows = model.log_probs(torch.tensor([[end, *document]]))[0] / math.log(2)
        bits -= rows[range(len(rows)), [*document, end]].sum().item()
        characters += len(document)
    return bits / characters


@right  # a tensor to fit to, and a built-in float
def bits_after(order: int, amount: int = 2000) -> float:
    V, end = sizes()
    model = ModifiedKneserNey(V, order, end_of_text=end)
    model.fit(torch.tensor(stream_of(encoded("train", range(amount)), end)))
    nats = np.concatenate([scores.nats for scores in score(model, encoded("validation", range(20)), end)])
    return float(np.log2(np.e) * nats.sum() / characters_of())


@wrong("that is in nats")
def bits_after(order, amount):
    return sum(nats_of(fitted(order, amount))) / characters_of()


@wrong("divide by the characters, without the ends")
def bits_after(order, amount):  # bits per token
    _, end = sizes()
    scores = score(fitted(order, amount), encoded("validation", range(20)), end)
    return np.concatenate([one.nats for one in scores]).mean() / math.log(2)


@wrong("add up before you divide")
def bits_after(order, amount):  # the mean of means
    nats, documents = nats_of(fitted(order, amount)), encoded("validation", range(20))
    return float(np.mean([n / len(document) for n, document in zip(nats, documents)])) / math.log(2)


@wrong("divide by the number of characters")
def bits_after(order, amount):  # not divided
    return sum(nats_of(fitted(order, amount))) / math.log(2)


@wrong("that is a perplexity")
def bits_after(order, amount):
    return math.exp(sum(nats_of(fitted(order, amount))) / characters_of())


@wrong("the right tales to count and to judge")
def bits_after(order, amount):  # judged by what it has counted
    return sum(nats_of(fitted(order, amount), split="train")) / math.log(2) / characters_of(split="train")


@wrong("the right tales to count and to judge")
def bits_after(order, amount):  # counts the tales that judge it
    V, end = sizes()
    model = ModifiedKneserNey(V, order, end).fit(stream_of(encoded("validation", range(amount)), end))
    return sum(nats_of(model)) / math.log(2) / characters_of()


@wrong("the right tales to count and to judge")
def bits_after(order, amount):  # begins with the second tale
    V, end = sizes()
    model = ModifiedKneserNey(V, order, end).fit(stream_of(encoded("train", range(1, amount + 1)), end))
    return sum(nats_of(model)) / math.log(2) / characters_of()


@wrong("the right tales to count and to judge")
def bits_after(order, amount):  # judged by sixty tales, as in the chapter
    return sum(nats_of(fitted(order, amount), 60)) / math.log(2) / characters_of(60)


@wrong("end-of-text before each?")
def bits_after(order, amount):  # the tales run into each other
    V, end = sizes()
    stream = [token for document in encoded("train", range(amount)) for token in document]
    return sum(nats_of(ModifiedKneserNey(V, order, end).fit(stream))) / math.log(2) / characters_of()


@wrong("end-of-text before each?")
def bits_after(order, amount):  # the model does not know which token that is
    V, end = sizes()
    model = ModifiedKneserNey(V, order).fit(stream_of(encoded("train", range(amount)), end))
    return sum(nats_of(model)) / math.log(2) / characters_of()


@wrong("is 2.3")
def bits_after(order, amount):  # a result, written down
    return 2.3


@wrong("the right tales to count and to judge")
def bits_after(order, amount):  # another smoothing
    V, end = sizes()
    model = AddK(V, order, end, k=0.01).fit(stream_of(encoded("train", range(amount)), end))
    return sum(nats_of(model)) / math.log(2) / characters_of()


@wrong("is inf, not")
def bits_after(order, amount):  # unmodified: what never occurred has no probability
    V, end = sizes()
    model = KneserNey(V, order, end).fit(stream_of(encoded("train", range(amount)), end))
    return sum(nats_of(model)) / math.log(2) / characters_of()


@wrong("returns NoneType, not a number")
def bits_after(order, amount):  # printed
    print(sum(nats_of(fitted(order, amount))) / math.log(2) / characters_of())


@wrong("the right tales to count and to judge")
def bits_after(order, amount):  # the length of a history, not of an n-gram
    return sum(nats_of(fitted(order + 1, amount))) / math.log(2) / characters_of()


@wrong("the right tales to count and to judge")
def bits_after(order, amount):  # one model for all
    model = remembered.setdefault("model", fitted(order, amount))
    return sum(nats_of(model)) / math.log(2) / characters_of()
