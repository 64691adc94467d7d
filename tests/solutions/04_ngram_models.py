"""Worked solutions of chapter 04's exercises."""

import math

import numpy as np

from minigpt import tales
from minigpt.evaluation import score
from minigpt.ngram import ModifiedKneserNey, sums
from minigpt.tokenizers import CharacterTokenizer


def number_of_ngrams(length, n):
    return max(0, length - n + 1)


def stupid_backoff(counts, character, history):
    if history + character in counts:
        return counts[history + character] / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:]) if history else 0.0


def witten_bell(level, vocabulary_size):
    followed = sums(level, level.counts, vocabulary_size)  # N of each history
    different = sums(level, level.counts > 0, vocabulary_size)  # K of each history
    both = followed + different
    direct = level.counts / both[level.keys // vocabulary_size]
    return direct, np.where(both > 0, different / np.maximum(both, 1), 1.0)


def bits_after(order, amount):
    tokenizer = CharacterTokenizer(tales.alphabet("english"))
    end = tokenizer.end_of_text
    stream = [t for i in range(amount) for t in (end, *tokenizer.encode(tales.document("english", "train", i)))]
    held_out = [tales.document("english", "validation", i) for i in range(20)]
    model = ModifiedKneserNey(tokenizer.vocabulary_size, order, end).fit(np.array(stream))
    nats = sum(scores.nats.sum() for scores in score(model, [tokenizer.encode(text) for text in held_out], end))
    return nats / math.log(2) / sum(map(len, held_out))
