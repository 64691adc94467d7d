"""Worked solutions of chapter 04's exercises."""

import math

import numpy as np

from minigpt import tales
from minigpt.evaluation import score
from minigpt.ngram import ModifiedKneserNey
from minigpt.tokenizers import CharacterTokenizer


def number_of_ngrams(length, n):
    return max(0, length - n + 1)


def stupid_backoff(counts, character, history):
    if counts[history + character]:
        return counts[history + character] / counts[history]
    return 0.4 * stupid_backoff(counts, character, history[1:]) if history else 0.0


def bits_after(order, amount):
    tokenizer = CharacterTokenizer(tales.alphabet("english"))
    end = tokenizer.end_of_text
    stream = [t for i in range(amount) for t in (end, *tokenizer.encode(tales.document("english", "train", i)))]
    held_out = [tales.document("english", "validation", i) for i in range(20)]
    model = ModifiedKneserNey(tokenizer.vocabulary_size, order, end).fit(np.array(stream))
    nats = sum(scores.nats.sum() for scores in score(model, [tokenizer.encode(text) for text in held_out], end))
    return nats / math.log(2) / sum(map(len, held_out))
