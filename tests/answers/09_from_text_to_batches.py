"""Right and wrong answers to the exercises of chapter 09 (see README.md)."""

import math
import re

import numpy as np
import regex
import torch

from minigpt.evaluation import score
from minigpt.ngram import ModifiedKneserNey
from minigpt.tokenizers import BytePairTokenizer, ByteTokenizer, split_words, train_byte_pairs

# 1: characters a token ----------------------------------------------------------------------------------------------


@right  # a loop over the characters and the tokens
def characters_a_token(encode, text):
    characters = tokens = 0
    for _ in text:
        characters += 1
    for _ in encode(text):
        tokens += 1
    return characters / tokens


@right  # a NumPy number
def characters_a_token(encode, text):
    return np.float64(len(text)) / np.array(encode(text)).size


@right  # bytes that begin a character
def characters_a_token(encode, text):
    return sum(byte & 0xC0 != 0x80 for byte in text.encode()) / len(encode(text))


@right  # one over tokens a character; extra parameter
def characters_a_token(encode, text, digits=None):
    share = len(encode(text)) / len(text)
    return 1 / share if digits is None else round(1 / share, digits)


@right  # a tensor of one number, in double precision
def characters_a_token(encode, text):
    return torch.tensor(float(len(text)), dtype=torch.float64) / len(encode(text))


@wrong("turn the fraction over")
def characters_a_token(encode, text):
    return len(encode(text)) / len(text)


@wrong("you count bytes")
def characters_a_token(encode, text):
    return len(text.encode()) / len(encode(text))


@wrong("whole numbers only")
def characters_a_token(encode, text):
    return len(text) // len(encode(text))


@wrong("white space counts, too")
def characters_a_token(encode, text):
    return sum(map(len, text.split())) / len(encode(text))


@wrong("not once")  # different tokens
def characters_a_token(encode, text):
    return len(text) / len(set(encode(text)))


@wrong("your function returns None")
def characters_a_token(encode, text):
    print(len(text) / len(encode(text)))


@wrong("of this BytePairTokenizer")  # always bytes, whatever is given
def characters_a_token(encode, text):
    return len(text) / len(ByteTokenizer().encode(text))


@wrong("return a number; your function returns '")
def characters_a_token(encode, text):
    return f"{len(text) / len(encode(text)):.3f}"


@wrong("of this BytePairTokenizer")  # words, not tokens
def characters_a_token(encode, text):
    return len(text) / len(split_words(text))


@wrong("of this BytePairTokenizer")  # the mean of each word's own number
def characters_a_token(encode, text):
    return np.mean([len(word) / len(encode(word)) for word in split_words(text)])


@wrong(", so it is ")  # rounded to two digits
def characters_a_token(encode, text):
    return round(len(text) / len(encode(text)), 2)


@wrong("of this BytePairTokenizer")  # what is said of English text, hard-coded
def characters_a_token(encode, text):
    return 4.0


# 2: every digit a word ----------------------------------------------------------------------------------------------


@right  # another pattern from the start
def split_digits(text):
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[0-9]| ?[\p{N}--[0-9]]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    return regex.findall(pattern, text, flags=regex.V1)


@right  # character by character
def split_digits(text):
    found = []
    for word in split_words(text):
        if word.strip(" ")[:1] not in list("0123456789"):
            found.append(word)
            continue
        waiting = ""
        for character in word:
            waiting += character
            if character != " ":
                found.append(waiting)
                waiting = ""
    return found


@right  # a generator, made a tuple
def split_digits(text, digits="0123456789"):
    def parts(word):
        start = 0
        for end in range(1, len(word) + 1):
            if end == len(word) or word[end - 1] in digits:
                yield word[start:end]
                start = end

    return tuple(part for word in split_words(text) for part in parts(word))


@right  # re.split that keeps what it splits at, without the empty strings
def split_digits(text):
    return [part for word in split_words(text) for part in re.split("( ?[0-9])", word) if part]


@right  # `str.isdecimal`, which also holds for other scripts
def split_digits(text):
    found = []
    for word in split_words(text):
        number = word.lstrip(" ")
        if number.isdecimal():
            found += [word[: len(word) - len(number) + 1], *number[1:]]
        else:
            found.append(word)
    return found


@wrong("two digits are in one word")  # the splitter itself
def split_digits(text):
    return split_words(text)


@wrong("it stays with the first digit")
def split_digits(text):
    return [part for word in split_words(text) for part in re.findall(r"\d|\D+", word)]


@wrong("put together, the words should be the text")  # the space is lost
def split_digits(text):
    return [part for word in split_words(text) for part in re.findall(r"\d|[^\d ]+", word)]


@wrong("there is an empty word")
def split_digits(text):
    return [part for word in split_words(text) for part in re.split(r"( ?\d)", word)]


@wrong("as `split_words` cuts")  # every character a word
def split_digits(text):
    return re.findall(r" ?[0-9]|[\s\S]", text)


@wrong("as `split_words` cuts")  # digits alone, and all the rest in one
def split_digits(text):
    return re.findall(r" ?[0-9]|(?:(?! ?[0-9])[\s\S])+", text)


@wrong("put together, the words should be the text")  # white space is thrown away
def split_digits(text):
    return [part for word in text.split() for part in re.findall(r"\d|\D+", word)]


@wrong("two digits are in one word")  # groups of three, as Llama 3 does
def split_digits(text):
    return [part for word in split_words(text) for part in re.findall(r" ?\d{1,3}|[^\d]+", word)]


@wrong("put together, the words should be the text")  # each digit gets a space of its own
def split_digits(text):
    return [part for word in split_words(text) for part in (f" {c}" for c in word.strip()) if word.strip().isdigit()]


@wrong("a digit shares")  # letters before a digit stay with it
def split_digits(text):
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}*[0-9]| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    return regex.findall(pattern, text)


@wrong('return a list of words, not "')
def split_digits(text):
    return "|".join(part for word in split_words(text) for part in re.findall(r" ?\d|[^\d]+", word))


@wrong("return a list of words, not None")
def split_digits(text):
    print([part for word in split_words(text) for part in re.findall(r" ?\d|[^\d]+", word)])


@wrong("every word should be a string")
def split_digits(text):
    return [re.findall(r" ?\d|[^\d]+", word) for word in split_words(text)]


@wrong("two digits are in one word")  # the first digit only
def split_digits(text):
    return [part for word in split_words(text) for part in re.split(r"(?<=^ \d)|(?<=^\d)", word) if part]


# 3: a mask for packed documents -------------------------------------------------------------------------------------


@right  # plain loops
def document_mask(ids, end_of_text):
    T = len(ids)
    mask = torch.zeros(T, T, dtype=torch.bool)
    for t in range(T):
        for s in range(t, -1, -1):
            mask[t, s] = True
            if ids[s] == end_of_text:
                break
    return mask


@right  # blocks on the diagonal
def document_mask(ids, end_of_text):
    starts = [t for t, id in enumerate(ids.tolist()) if id == end_of_text and t > 0]
    edges = [0, *starts, len(ids)]
    blocks = [torch.ones(end - start, end - start).tril() for start, end in zip(edges, edges[1:])]
    return torch.block_diag(*blocks) == 1


@right  # where each document begins, by a running maximum
def document_mask(ids, end_of_text):
    places = torch.arange(len(ids))
    begin = torch.where(ids == end_of_text, places, 0).cummax(0).values
    return (places[None] <= places[:, None]) & (places[None] >= begin[:, None])


@right  # NumPy and back
def document_mask(ids, end_of_text, dtype=bool):
    document = np.cumsum(ids.numpy() == end_of_text)
    return torch.from_numpy(np.tril(np.equal.outer(document, document)).astype(dtype))


@right  # no document begins between the two
def document_mask(ids, end_of_text):
    begun = (ids == end_of_text).long().cumsum(0)
    return ((begun[:, None] - begun[None]) == 0).tril()


@wrong("of another document")  # only causal
def document_mask(ids, end_of_text):
    return torch.ones(len(ids), len(ids), dtype=torch.bool).tril()


@wrong("sees the future")
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return document[:, None] == document


@wrong("does not see itself")
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return (document[:, None] == document).tril(-1)


@wrong("of its own document, which it begins")  # end-of-text as the end of the document before
def document_mask(ids, end_of_text):
    ends = ids == end_of_text
    document = ends.cumsum(0) - ends.long()
    return (document[:, None] == document).tril()


@wrong("of another document")  # end-of-text is 0 or 50256, whatever was given
def document_mask(ids, end_of_text):
    document = (ids == 50256).cumsum(0)
    return (document[:, None] == document).tril()


@wrong("make it boolean")
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return (document[:, None] == document).float().tril()


@wrong("make it boolean")  # what is added to scores
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return torch.zeros(len(ids), len(ids)).masked_fill(~(document[:, None] == document).tril(), -math.inf)


@wrong("sees the future")  # True where a token may not look
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return ~(document[:, None] == document).tril()


@wrong("sees the future")  # transposed
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return (document[:, None] == document).triu()


@wrong("your function changed ids")
def document_mask(ids, end_of_text):
    ids.copy_((ids == end_of_text).cumsum(0))
    return (ids[:, None] == ids).tril()


@wrong("the shape should be")  # a batch of one
def document_mask(ids, end_of_text):
    document = (ids[None] == end_of_text).cumsum(1)
    return (document[:, :, None] == document[:, None]).tril()


@wrong("does not see itself")  # what stands before the first end-of-text belongs to nobody
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return ((document[:, None] == document) & (document > 0)).tril()


@wrong("of another document")  # only the first border counts
def document_mask(ids, end_of_text):
    later = torch.arange(len(ids)) >= (ids == end_of_text).long().argmax()
    return (later[:, None] == later).tril()


@wrong("of its own document")  # the same token, not the same document
def document_mask(ids, end_of_text):
    return (ids[:, None] == ids).tril()


@wrong("should see token")  # end-of-text is hidden from its own document
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    mask = ((document[:, None] == document) & (ids != end_of_text)).tril()
    return mask | torch.eye(len(ids), dtype=torch.bool)


@wrong("return a tensor, not [[")
def document_mask(ids, end_of_text):
    document = (ids == end_of_text).cumsum(0)
    return (document[:, None] == document).tril().tolist()


# 4: bits per character of trigrams ----------------------------------------------------------------------------------


def tokens_of(size, learned_from):
    pairs = train_byte_pairs(learned_from, size)
    return pairs, pairs.end_of_text


def fitted(pairs, text, order=3):
    end = pairs.end_of_text
    return ModifiedKneserNey(pairs.vocabulary_size, order, end).fit([end, *pairs.encode(text)])


@right  # from the log-probabilities, with the end
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    ids = torch.tensor([[end, *pairs.encode(new), end]])
    log_probs = fitted(pairs, learned_from).log_probs(ids[:, :-1])
    return float(-log_probs.gather(2, ids[:, 1:, None]).double().sum() / math.log(2) / len(new))


@right  # a NumPy array of ids; log2 by hand
def trigram_bits(size, learned_from, new, order=3):
    pairs = train_byte_pairs([learned_from], size)
    ids = np.array([pairs.end_of_text, *pairs.encode(learned_from)])
    model = ModifiedKneserNey(pairs.vocabulary_size, order, pairs.end_of_text).fit(ids)
    nats = score(model, [np.array(pairs.encode(new))], pairs.end_of_text)[0].nats
    return np.log2(np.e) * nats.sum() / len(new)


@right  # the first merges of a larger vocabulary
def trigram_bits(size, learned_from, new):
    pairs = BytePairTokenizer(train_byte_pairs(learned_from, 2048).merges[: size - 257])
    return sum(s.nats.sum() for s in score(fitted(pairs, learned_from), [pairs.encode(new)], pairs.end_of_text)) / (
        math.log(2) * len(new)
    )


@right  # bits per token, times tokens a character; the learned text ends with an end, too
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    model = ModifiedKneserNey(pairs.vocabulary_size, 3, end).fit(torch.tensor([end, *pairs.encode(learned_from)]))
    ids = pairs.encode(new)
    bits = score(model, [ids], end)[0].nats / math.log(2)
    return bits.mean() * len(bits) / len(new)


@wrong("in nats: divide by log 2")
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    return score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.sum() / len(new)


@wrong("per token: divide by characters")
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    return score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.mean() / math.log(2)


@wrong("in nats per token")
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    return score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.mean()


@wrong("per byte: divide")
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    nats = score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.sum()
    return nats / math.log(2) / len(new.encode())


@wrong("of 2-grams, not 3-grams")  # two tokens of history were meant, not two tokens
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    nats = score(fitted(pairs, learned_from, 2), [pairs.encode(new)], end)[0].nats.sum()
    return nats / math.log(2) / len(new)


@wrong("of 4-grams, not 3-grams")  # three tokens of history
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    nats = score(fitted(pairs, learned_from, 4), [pairs.encode(new)], end)[0].nats.sum()
    return nats / math.log(2) / len(new)


@wrong("a leak, of `new`, too")
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    nats = score(fitted(pairs, learned_from + new), [pairs.encode(new)], end)[0].nats.sum()
    return nats / math.log(2) / len(new)


@wrong("like no usual mistake")  # the size is fixed
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(1024, learned_from)
    return score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.sum() / math.log(2) / len(new)


@wrong("like no usual mistake")  # size merges on top of the bytes
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size + 257, learned_from)
    return score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.sum() / math.log(2) / len(new)


@wrong("like no usual mistake")  # the length of the wrong text
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    nats = score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.sum()
    return nats / math.log(2) / len(learned_from)


@wrong("like no usual mistake")  # log-probabilities, not minus them
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    ids = torch.tensor([[end, *pairs.encode(new), end]])
    log_probs = fitted(pairs, learned_from).log_probs(ids[:, :-1])
    return float(log_probs.gather(2, ids[:, 1:, None]).double().sum() / math.log(2) / len(new))


@wrong("like no usual mistake")  # perplexity
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    return math.exp(score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.mean())


@wrong("your function returns array")  # a loss for each token
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    return score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats / math.log(2)


@wrong("your function returns None")
def trigram_bits(size, learned_from, new):
    pairs, end = tokens_of(size, learned_from)
    print(score(fitted(pairs, learned_from), [pairs.encode(new)], end)[0].nats.sum() / math.log(2) / len(new))
