"""Worked solutions of chapter 09's exercises."""

import math
import re

import torch

from minigpt.evaluation import score
from minigpt.ngram import ModifiedKneserNey
from minigpt.tokenizers import split_words, train_byte_pairs


def characters_a_token(encode, text):
    return len(text) / len(encode(text))


def split_digits(text):
    return [part for word in split_words(text) for part in re.findall(r" ?\d|[^\d]+", word)]


def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return (document[:, None] == document) & torch.ones(len(ids), len(ids), dtype=torch.bool).tril()


def trigram_bits(size, learned_from, new):
    tokenizer = train_byte_pairs(learned_from, size)
    end = tokenizer.end_of_text
    model = ModifiedKneserNey(tokenizer.vocabulary_size, 3, end).fit([end, *tokenizer.encode(learned_from)])
    (scores,) = score(model, [tokenizer.encode(new)], end)
    return scores.nats.sum() / math.log(2) / len(new)
