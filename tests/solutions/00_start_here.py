"""Worked solutions of chapter 00."""

import math

from minigpt import tales


def entropy(probabilities):
    return sum(-p * math.log2(p) for p in probabilities if p > 0)


def kind_of_mistake(text):
    stopped_at = tales.read(text).stopped_at
    return stopped_at.kind if stopped_at else None


def bits_of_beginning(text):
    bits = 0.0
    for character, distribution in zip(text, tales.read(text).next_characters()):
        if character not in distribution:
            return math.inf
        bits -= math.log2(distribution[character])
    return bits


def shares_of_information(documents):
    bits = {}
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] = bits.get(choice.kind, 0.0) - choice.log_probs[index]
    return {kind: value / sum(bits.values()) for kind, value in bits.items()}
