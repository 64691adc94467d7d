"""Answers to the exercises of chapter 00, right and wrong."""

import math
from collections import Counter, defaultdict

import numpy as np
import torch

from minigpt import tales

# 1: entropy ---------------------------------------------------------------------------------------------------------


@right  # a plain loop
def entropy(probabilities):
    total = 0.0
    for p in probabilities:
        if p == 0:
            continue
        total += p * math.log2(1 / p)
    return total


@right  # NumPy, and its 0 dimensional result
def entropy(probabilities):
    p = np.array(probabilities)
    p = p[p > 0]
    return -np.sum(p * np.log2(p))


@right  # PyTorch in float32, a tensor of no dimension
def entropy(probabilities):
    return torch.special.entr(torch.tensor(probabilities)).sum() / math.log(2)


@right  # another parameter, with a default; natural logarithms converted
def entropy(probabilities, base=2):
    return math.fsum(-p * math.log(p) / math.log(base) for p in filter(None, probabilities))


@right  # a tiny number keeps the logarithm finite
def entropy(probabilities):
    return -sum(p * math.log2(p + 1e-12) for p in probabilities)


@right  # a class that can be called
class entropy:
    def __new__(cls, probabilities):
        return float(sum(-p * np.log2(p) for p in probabilities if p))


@wrong("so a minus is missing")
def entropy(probabilities):
    return sum(p * math.log2(p) for p in probabilities if p > 0)


@wrong("your logarithm is the natural one")
def entropy(probabilities):
    return sum(-p * math.log(p) for p in probabilities if p > 0)


@wrong("multiply each term by its p")
def entropy(probabilities):
    return sum(-math.log2(p) for p in probabilities if p > 0)


@wrong("do not divide by the number of outcomes")
def entropy(probabilities):
    return sum(-p * math.log2(p) for p in probabilities if p > 0) / len(probabilities)


@wrong("do not divide by the number of outcomes")  # np.mean
def entropy(probabilities):
    return np.mean([-p * math.log2(p) if p else 0.0 for p in probabilities])


@wrong("leave out each p = 0")
def entropy(probabilities):
    return sum(-p * math.log2(p) for p in probabilities)


@wrong("leave out each p = 0")  # not a number
def entropy(probabilities):
    p = np.array(probabilities)
    return float(-(p * np.log2(p)).sum())


@wrong("go on with the rest")  # stops at the first zero
def entropy(probabilities):
    total = 0.0
    for p in probabilities:
        if p == 0:
            break
        total -= p * math.log2(p)
    return total


@wrong("end your function with return")
def entropy(probabilities):
    print(sum(-p * math.log2(p) for p in probabilities if p > 0))


@wrong("yours are several, of the shape (1,)")
def entropy(probabilities):
    return np.array([-p * math.log2(p) for p in probabilities if p > 0])


@wrong("return a number for [1.0]")
def entropy(probabilities):
    return [-p * math.log2(p) for p in probabilities if p > 0]


@wrong("return a number for [1.0]")
def entropy(probabilities):
    return f"{sum(-p * math.log2(p) for p in probabilities if p > 0):.3f}"


@wrong("it must not change it")
def entropy(probabilities):
    if isinstance(probabilities, list):
        while 0 in probabilities:
            probabilities.remove(0)
    return sum(-p * math.log2(p) for p in probabilities if p > 0)


@wrong("start from 0 in each call")  # a mutable default keeps the terms of the call before
def entropy(probabilities, terms=[]):
    for p in probabilities:
        if p > 0:
            terms.append(-p * math.log2(p))
    return sum(terms)


@wrong("add up -p log2 p over all outcomes")  # a fair coin's
def entropy(probabilities):
    return 1.0 if len(probabilities) > 1 else 0.0


@wrong("add up -p log2 p over all outcomes")  # of a uniform distribution
def entropy(probabilities):
    return math.log2(len(probabilities))


@wrong("add up -p log2 p over all outcomes")  # the first term only: return stands inside the loop
def entropy(probabilities):
    for p in probabilities:
        if p > 0:
            return -p * math.log2(p)


@wrong("bits, not")  # rounded
def entropy(probabilities):
    return round(sum(-p * math.log2(p) for p in probabilities if p > 0), 1)


# 2: kind_of_mistake -------------------------------------------------------------------------------------------------


@right
def kind_of_mistake(text):
    reading = tales.read(text)
    if reading.complete:
        return None
    return reading.stopped_at.kind


@right
def kind_of_mistake(text, language="english"):
    return getattr(tales.read(text, language).stopped_at, "kind", None)


@right  # the same choice fails if the text is cut where it became impossible
def kind_of_mistake(text):
    place = tales.read(text).impossible_at
    if place is None:
        return
    return tales.read(text[:place]).stopped_at.kind


@right
def kind_of_mistake(text):
    try:
        return tales.read(text).stopped_at.kind
    except AttributeError:
        return None


@right
def kind_of_mistake(text):
    reading = tales.read(text)
    return {True: None}.get(reading.read == len(text), reading.stopped_at and reading.stopped_at.kind)


@wrong("AttributeError")
def kind_of_mistake(text):
    return tales.read(text).stopped_at.kind


@wrong("that is the last choice that was read, and it was right")
def kind_of_mistake(text):
    reading = tales.read(text)
    return None if reading.complete else reading.trace[-1][0].kind


@wrong("that is the last choice that was read, and it was right")
def kind_of_mistake(text):
    reading = tales.read(text)
    return None if reading.complete else reading.kinds()[-1]


@wrong("the kind of a choice is its .kind")
def kind_of_mistake(text):
    return tales.read(text).stopped_at


@wrong("return a string such as 'plot'")
def kind_of_mistake(text):
    return tales.read(text).impossible_at


@wrong("return a string such as 'plot'")
def kind_of_mistake(text):
    stopped_at = tales.read(text).stopped_at
    return [stopped_at.kind] if stopped_at else None


@wrong("return None, not 'none'")
def kind_of_mistake(text):
    stopped_at = tales.read(text).stopped_at
    return stopped_at.kind if stopped_at else "none"


@wrong("return None, not ''")
def kind_of_mistake(text):
    return "".join(choice.kind for choice in [tales.read(text).stopped_at] if choice)


@wrong("return None, not False")
def kind_of_mistake(text):
    reading = tales.read(text)
    return reading.stopped_at is not None and reading.stopped_at.kind


@wrong("return None, not")  # of its last choice
def kind_of_mistake(text):
    reading = tales.read(text)
    return (reading.stopped_at or reading.trace[-1][0]).kind


@wrong("but nothing comes back")
def kind_of_mistake(text):
    stopped_at = tales.read(text).stopped_at
    print(stopped_at.kind if stopped_at else None)


@wrong("is no kind; the kinds are")
def kind_of_mistake(text):
    stopped_at = tales.read(text).stopped_at
    return tales.KINDS[stopped_at.kind] if stopped_at else None


@wrong("is no kind; the kinds are")  # what could have stood there
def kind_of_mistake(text):
    stopped_at = tales.read(text).stopped_at
    return stopped_at.strings[0] if stopped_at else None


@wrong("the # is wrong")  # a constant: the example of the text
def kind_of_mistake(text):
    return None if tales.read(text).complete else "answer"


@wrong("the # is wrong")  # a list that is kept between calls
def kind_of_mistake(text, found=[]):
    stopped_at = tales.read(text).stopped_at
    if stopped_at is None:
        return None
    found.append(stopped_at.kind)
    return found[0]


@wrong("but nothing comes back")  # 0 characters were read, and 0 is false
def kind_of_mistake(text):
    reading = tales.read(text)
    if reading.read and reading.stopped_at:
        return reading.stopped_at.kind
    return None


# 3: bits_of_beginning -----------------------------------------------------------------------------------------------


@right  # a product of probabilities, in one go
def bits_of_beginning(text):
    reading = tales.read(text)
    if reading.impossible_at is not None:
        return math.inf
    return -sum(math.log2(d[c]) for d, c in zip(reading.next_characters(), text))


@right  # choice by choice, then the options that are still possible
def bits_of_beginning(text):
    reading = tales.read(text)
    rest = text[reading.read :]
    nats = -sum(choice.log_probs[index] for choice, index in reading.trace)
    if rest:
        if reading.stopped_at is None:
            return math.inf
        options = zip(reading.stopped_at.strings, reading.stopped_at.probabilities)
        left = sum(p for string, p in options if string.startswith(rest))
        if not left:
            return math.inf
        nats -= math.log(left)
    return nats / math.log(2)


@right  # the Oracle says the same
def bits_of_beginning(text):
    if tales.read(text).impossible_at is not None:
        return float("inf")
    oracle = tales.Oracle()
    ids = oracle.tokenizer.encode(text)
    log_probs = oracle.log_probs(torch.tensor([[oracle.tokenizer.end_of_text, *ids]]))[0]
    return -log_probs[torch.arange(len(ids)), ids].sum() / math.log(2)


@right  # NumPy: log2 of 0 is minus infinity
def bits_of_beginning(text):
    chances = [d.get(c, 0.0) for d, c in zip(tales.read(text).next_characters(), text)]
    with np.errstate(divide="ignore"):
        return 0.0 - np.log2(chances).sum()


@right  # the product first: it is small, but no smaller than a float can be
def bits_of_beginning(text):
    p = math.prod(d.get(c, 0) for d, c in zip(tales.read(text).next_characters(), text))
    return -math.log2(p) if p > 0 else math.inf


@wrong("a minus is missing")
def bits_of_beginning(text):
    return sum(math.log2(d[c]) for d, c in zip(tales.read(text).next_characters(), text))


@wrong("take log2, not the natural logarithm")
def bits_of_beginning(text):
    return -sum(math.log(d[c]) for d, c in zip(tales.read(text).next_characters(), text))


@wrong("that is the mean of the characters")
def bits_of_beginning(text):
    return -np.mean([math.log2(d[c]) for d, c in zip(tales.read(text).next_characters(), text)])


@wrong("at its end is missing, which is the beginning of a choice")
def bits_of_beginning(text):
    return -sum(choice.log_probs[index] for choice, index in tales.read(text).trace) / math.log(2)


@wrong("log_prob is that of whole documents")
def bits_of_beginning(text):
    return -tales.read(text).log_prob / math.log(2)


@wrong("add up -log2 of the probability of each character")  # the probability itself
def bits_of_beginning(text):
    return math.prod(d.get(c, 0) for d, c in zip(tales.read(text).next_characters(), text))


@wrong("add up -log2 of the probability of each character")  # the entropy of the distributions
def bits_of_beginning(text):
    distributions = tales.read(text).next_characters()[: len(text)]
    return sum(-p * math.log2(p) for d in distributions for p in d.values())


@wrong("bits, not")  # without the last character
def bits_of_beginning(text):
    return -sum(math.log2(d[c]) for d, c in zip(tales.read(text).next_characters()[:-2], text))


@wrong("the first and last included")  # from the second character on
def bits_of_beginning(text):
    return -sum(math.log2(d[c]) for d, c in list(zip(tales.read(text).next_characters(), text))[1:])


@wrong("KeyError")  # one place off: not prepared for what is impossible, either
def bits_of_beginning(text):
    return -sum(math.log2(d[c]) for d, c in zip(tales.read(text).next_characters()[1:], "F" + text))


@wrong("KeyError")
def bits_of_beginning(text):
    return -sum(math.log2(d[c]) for d, c in zip(tales.read(text).next_characters(), text))


@wrong("its impossible character has the probability 0")  # leaves out what is impossible
def bits_of_beginning(text):
    return -sum(math.log2(d[c]) for d, c in zip(tales.read(text).next_characters(), text) if c in d)


@wrong("its impossible character has the probability 0")  # does not see that the document was over
def bits_of_beginning(text):
    reading = tales.read(text)
    if reading.stopped_at is not None and reading.impossible_at is not None:
        return math.inf
    return -sum(math.log2(d[c]) for d, c in zip(reading.next_characters(), text) if c in d)


@wrong("bits, not inf")  # nothing was read, so it takes the text for an impossible one
def bits_of_beginning(text):
    reading = tales.read(text)
    if not reading.trace or reading.impossible_at is not None:
        return math.inf
    return -sum(math.log2(d[c]) for d, c in zip(reading.next_characters(), text))


@wrong("nothing comes back for the text of")
def bits_of_beginning(text):
    print(-sum(math.log2(d[c]) for d, c in zip(tales.read(text).next_characters(), text)))


@wrong("return a number for the text of")  # one number a character
def bits_of_beginning(text):
    return [-math.log2(d[c]) for d, c in zip(tales.read(text).next_characters(), text)]


@wrong("bits, not")  # half a choice counted as a whole one
def bits_of_beginning(text):
    reading = tales.read(text)
    bits = -sum(choice.log_probs[index] for choice, index in reading.trace) / math.log(2)
    if reading.read < len(text):
        if reading.impossible_at is not None:
            return math.inf
        options = [s for s in reading.stopped_at.strings if s.startswith(text[reading.read :])]
        bits += math.log2(len(reading.stopped_at.strings)) - 0 * len(options)
    return bits


# 4: shares_of_information -------------------------------------------------------------------------------------------


@right  # log2 all the way, every kind in the result
def shares_of_information(documents):
    bits = {kind: 0.0 for kind in tales.KINDS}
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] += -math.log2(choice.probabilities[index])
    total = sum(bits.values())
    return {kind: value / total for kind, value in bits.items()}


@right  # a Counter, with the free kinds left out
def shares_of_information(documents):
    counter = Counter()
    for choice, index in (pair for document in documents for pair in tales.read(document).trace):
        counter[choice.kind] -= choice.log_probs[index]
    total = sum(counter.values())
    for kind in list(counter):
        counter[kind] /= total
    return +counter


@right  # character by character: the bits of a choice are those of its letters
def shares_of_information(documents):
    bits = defaultdict(float)
    for document in documents:
        reading = tales.read(document)
        for kind, distribution, character in zip(reading.kinds(), reading.next_characters(), document):
            bits[kind] -= math.log2(distribution[character])
    return {kind: value / sum(bits.values()) for kind, value in bits.items()}


@right  # tensors
def shares_of_information(documents):
    kinds = list(tales.KINDS)
    bits = torch.zeros(len(kinds))
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[kinds.index(choice.kind)] -= choice.log_probs[index]
    return dict(zip(kinds, bits / bits.sum()))


@right  # NumPy's numbers
def shares_of_information(documents):
    chosen = [(c.kind, -c.log_probs[i]) for d in documents for c, i in tales.read(d).trace]
    kinds, bits = np.array([k for k, _ in chosen]), np.array([b for _, b in chosen])
    return {str(kind): bits[kinds == kind].sum() / bits.sum() for kind in set(kinds)}


@wrong("that is its share of the choices")
def shares_of_information(documents):
    counts = Counter(choice.kind for document in documents for choice, _ in tales.read(document).trace)
    return {kind: count / counts.total() for kind, count in counts.items()}


@wrong("that is its share of the characters")
def shares_of_information(documents):
    counts = Counter(kind for document in documents for kind in tales.read(document).kinds())
    return {kind: count / counts.total() for kind, count in counts.items()}


@wrong("that is its share of the entropies; take what was chosen")
def shares_of_information(documents):
    sums = Counter()
    for document in documents:
        for choice, _ in tales.read(document).trace:
            sums[choice.kind] += choice.entropy
    return {kind: value / sums.total() for kind, value in sums.items()}


@wrong("and divide at the end")  # the mean of each document's shares
def shares_of_information(documents):
    means = Counter()
    for document in documents:
        bits = Counter()
        for choice, index in tales.read(document).trace:
            bits[choice.kind] -= choice.log_probs[index]
        for kind, value in bits.items():
            means[kind] += value / sum(bits.values()) / len(documents)
    return dict(means)


@wrong("in 2 documents")  # starts anew for each document
def shares_of_information(documents):
    for document in documents:
        bits = {}
        for choice, index in tales.read(document).trace:
            bits[choice.kind] = bits.get(choice.kind, 0.0) - choice.log_probs[index]
    return {kind: value / sum(bits.values()) for kind, value in bits.items()}


@wrong("in 2 documents")  # the first document alone: return stands inside the loop
def shares_of_information(documents):
    bits = Counter()
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] -= choice.log_probs[index]
        return {kind: value / sum(bits.values()) for kind, value in bits.items()}


@wrong("start from 0, add up")  # a mutable default
def shares_of_information(documents, bits={}):
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] = bits.get(choice.kind, 0.0) - choice.log_probs[index]
    return {kind: value / sum(bits.values()) for kind, value in bits.items()}


@wrong("divide each by the sum of all bits")
def shares_of_information(documents):
    bits = {}
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] = bits.get(choice.kind, 0.0) - math.log2(choice.probabilities[index])
    return bits


@wrong("the shares add up to 100.0000")
def shares_of_information(documents):
    bits = Counter()
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] -= choice.log_probs[index]
    return {kind: 100 * value / bits.total() for kind, value in bits.items()}


@wrong("the shares add up to")  # the sum changes while it divides by it
def shares_of_information(documents):
    bits = Counter()
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] -= choice.log_probs[index]
    for kind in bits:
        bits[kind] /= sum(bits.values())
    return dict(bits)


@wrong("add up -log p of what was chosen")  # probabilities instead of bits
def shares_of_information(documents):
    sums = Counter()
    for document in documents:
        for choice, index in tales.read(document).trace:
            sums[choice.kind] += choice.probabilities[index]
    return {kind: value / sums.total() for kind, value in sums.items()}


@wrong("add up -log p of what was chosen")  # the last choice of each kind only
def shares_of_information(documents):
    bits = {}
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] = -choice.log_probs[index]
    return {kind: value / (sum(bits.values()) or 1) for kind, value in bits.items()} | {
        "spelling": 1 - bool(sum(bits.values()))
    }


@wrong("return a dictionary from kinds to shares")
def shares_of_information(documents):
    bits = Counter()
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] -= choice.log_probs[index]
    return [(kind, value / bits.total()) for kind, value in bits.items()]


@wrong("the keys should be kinds such as 'plot'")  # the strings that were chosen
def shares_of_information(documents):
    bits = Counter()
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.strings[index]] -= choice.log_probs[index]
    return {key: value / bits.total() for key, value in bits.items()}


@wrong("it must not change the list")
def shares_of_information(documents):
    bits = Counter()
    while documents:
        for choice, index in tales.read(documents.pop()).trace:
            bits[choice.kind] -= choice.log_probs[index]
    return {kind: value / bits.total() for kind, value in bits.items()}


@wrong("return a dictionary")
def shares_of_information(documents):
    bits = Counter()
    for document in documents:
        for choice, index in tales.read(document).trace:
            bits[choice.kind] -= choice.log_probs[index]
    print({kind: value / bits.total() for kind, value in bits.items()})
