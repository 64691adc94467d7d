"""Answers to the exercises of chapter 12."""

import copy

import numpy as np
import torch

from minigpt.evaluation import score
from minigpt.sampling import Sampler, beam_search, complete
from minigpt.transformer import GPT, GPT2, GPTConfig

# 1: parameters by formula -------------------------------------------------------------------------------------------


@right  # multiplied out
def count_parameters(vocabulary_size, context_length, n_layers, width):
    V, T, D = vocabulary_size, context_length, width
    return V * D + T * D + n_layers * (12 * D**2 + 13 * D) + 2 * D


@right  # a loop over the layers
def count_parameters(vocabulary_size, context_length, n_layers, width, mlp=4):
    def linear(inputs, outputs):
        return (inputs + 1) * outputs

    total = 0
    for _ in range(n_layers):
        total += 2 * width + linear(width, 3 * width) + linear(width, width)
        total += 2 * width + linear(width, mlp * width) + linear(mlp * width, width)
    return total + 2 * width + width * (vocabulary_size + context_length)


@right  # NumPy's integers
def count_parameters(vocabulary_size, context_length, n_layers, width):
    shapes = [(vocabulary_size, width), (context_length, width), (2, width)]
    layer = [(width, 3 * width), (1, 3 * width), (width, width), (1, width), (width, 4 * width), (1, 4 * width)]
    layer += [(4 * width, width), (1, width), (4, width)]
    return np.prod(shapes + n_layers * layer, axis=1).sum()


@right  # built after all, without memory
def count_parameters(vocabulary_size, context_length, n_layers, width):
    with torch.device("meta"):
        return GPT(GPTConfig(vocabulary_size, context_length, n_layers, 1, width, **GPT2)).n_parameters


@wrong("the head is the embedding")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return 2 * vocabulary_size * D + context_length * D + n_layers * (12 * D**2 + 13 * D) + 2 * D


@wrong("the embeddings of the positions are missing")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return vocabulary_size * D + n_layers * (12 * D**2 + 13 * D) + 2 * D


@wrong("the last norm is missing")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * (12 * D**2 + 13 * D)


@wrong("all biases are missing")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * (12 * D**2 + 2 * D) + D


@wrong("the biases of the four matrices are missing")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * (12 * D**2 + 4 * D) + 2 * D


@wrong("each norm has a bias beside its gain")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * (12 * D**2 + 11 * D) + D


@wrong("each layer has two norms")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * (12 * D**2 + 11 * D) + 2 * D


@wrong("hidden layer is 4 D wide")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * (12 * D**2 + 10 * D) + 2 * D


@wrong("queries, keys and values take 3 D x D")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * (10 * D**2 + 13 * D) + 2 * D


@wrong("the projection after attention is missing")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * (11 * D**2 + 12 * D) + 2 * D


@wrong("which parts every layer has")  # one layer only
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + 12 * D**2 + 13 * D + 2 * D


@wrong("which parts every layer has")  # embeddings in every layer
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return n_layers * ((vocabulary_size + context_length) * D + 12 * D**2 + 13 * D) + 2 * D


@wrong("you count 124,439,808")  # GPT-2, whatever is asked
def count_parameters(vocabulary_size, context_length, n_layers, width):
    return 124_439_808


@wrong("it returns float, not int")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    return (vocabulary_size + context_length) * D + n_layers * D * D * (12 + 13 / D) + 2 * D


@wrong("it returns NoneType, not int")
def count_parameters(vocabulary_size, context_length, n_layers, width):
    D = width
    print((vocabulary_size + context_length) * D + n_layers * (12 * D**2 + 13 * D) + 2 * D)


# 2: a band with strides ---------------------------------------------------------------------------------------------


@right  # plain loops
def strided(T, w):
    mask = torch.zeros(T, T, dtype=torch.bool)
    for i in range(T):
        for j in range(i + 1):
            mask[i, j] = i - j < w or (i - j) % w == 0
    return mask


@right  # NumPy inside
def strided(T, w):
    far = np.subtract.outer(np.arange(T), np.arange(T))
    return torch.from_numpy((far >= 0) & ((far < w) | (far % w == 0)))


@right  # diagonals
def strided(T, w, dtype=torch.bool):
    mask = torch.zeros(T, T)
    for far in [*range(min(w, T)), *range(w, T, w)]:
        mask += torch.diag(torch.ones(T - far), -far)
    return mask.to(dtype)


@right  # the band by triangles, and the strides of each row
def strided(T, w):
    mask = torch.ones(T, T, dtype=torch.bool).tril().triu(1 - w)
    for i in range(T):
        mask[i, i % w : i + 1 : w] = True
    return mask


@wrong("in its future")  # transposed
def strided(T, w):
    far = torch.arange(T) - torch.arange(T)[:, None]
    return (far >= 0) & ((far < w) | (far % w == 0))


@wrong("in its future")  # both sides
def strided(T, w):
    far = (torch.arange(T) - torch.arange(T)[:, None]).abs()
    return (far < w) | (far % w == 0)


@wrong("does not see itself")
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return (far > 0) & ((far < w) | (far % w == 0))


@wrong("though that is a multiple of")  # strides counted from the end of the band
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return (far >= 0) & ((far < w) | ((far - w + 1) % w == 0))


@wrong("nor a multiple of it")  # w and itself
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return (far >= 0) & ((far <= w + 1) | (far % w == 0))


@wrong("though the band holds the last")  # strides only
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return (far >= 0) & (far % w == 0)


@wrong("though the band holds the last")  # one too few in the band
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return (far >= 0) & ((far < w - 1) | (far % w == 0))


@wrong("though that is a multiple of")  # the band only: the neighbouring question
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return (far >= 0) & (far < w)


@wrong("at a distance of")  # every wth column, wherever the token is (Child's fixed pattern)
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return (far >= 0) & ((far < w) | (torch.arange(T) % w == 0))


@wrong("though that is a multiple of")  # the first stride only
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return (far >= 0) & ((far < w) | (far == w))


@wrong("not of booleans")  # as a number to be added to the scores
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return torch.zeros(T, T).masked_fill(~((far >= 0) & ((far < w) | (far % w == 0))), -torch.inf)


@wrong("not a tensor")
def strided(T, w):
    return [[0 <= i - j and (i - j < w or (i - j) % w == 0) for j in range(T)] for i in range(T)]


@wrong("has the shape")  # a batch and a head of one
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    return ((far >= 0) & ((far < w) | (far % w == 0)))[None, None]


@wrong("nor a multiple of it")  # kept from the first call
def strided(T, w, known={}):
    if T not in known:
        far = torch.arange(T)[:, None] - torch.arange(T)
        known[T] = (far >= 0) & ((far < w) | (far % w == 0))
    return known[T]


@wrong("is NoneType, not a tensor")
def strided(T, w):
    far = torch.arange(T)[:, None] - torch.arange(T)
    print((far >= 0) & ((far < w) | (far % w == 0)))


# 3: does it write the answer? ---------------------------------------------------------------------------------------


def ids_of(tokenizer, prompt):
    return [tokenizer.end_of_text, *tokenizer.encode(prompt)]


@right  # token by token, with the model's memory
def answers(model, tokenizer, prompt, answer):
    log_probs, state = model.advance(torch.tensor([ids_of(tokenizer, prompt)]))
    for token in tokenizer.encode(answer):
        if log_probs[0].argmax() != token:
            return False
        log_probs, state = model.advance(torch.tensor([[token]]), state)
    return True


@right  # read at once: each token must be the most probable after those before
def answers(model, tokenizer, prompt, answer):
    first, then = ids_of(tokenizer, prompt), tokenizer.encode(answer)
    best = model.log_probs(torch.tensor([first + then]))[0].argmax(dim=-1)
    return best[len(first) - 1 : -1].tolist() == list(then)


@right  # by the scores of the evaluation, as NumPy's bool
def answers(model, tokenizer, prompt, answer):
    asked, then = tokenizer.encode(prompt), tokenizer.encode(answer)
    (scores,) = score(model, [[*asked, *then]], tokenizer.end_of_text)
    return scores.hits[len(asked) : len(asked) + len(then)].all()


@right  # by strings, and a beam of one
def answers(model, tokenizer, prompt, answer, width=1):
    ids = torch.tensor([ids_of(tokenizer, prompt)])
    written, _ = beam_search(model, ids, len(tokenizer.encode(answer)), width)
    return tokenizer.decode(written[0, 0].tolist()) == answer


@wrong("begin with end_of_text")
def answers(model, tokenizer, prompt, answer):
    expected = tokenizer.encode(answer)
    written = complete(model, torch.tensor([tokenizer.encode(prompt)]), len(expected), Sampler(temperature=0))
    return written[0].tolist() == list(expected)


@wrong("is wrong from its word 2 on")  # the first token only
def answers(model, tokenizer, prompt, answer):
    ids = torch.tensor([ids_of(tokenizer, prompt)])
    return complete(model, ids, 1, Sampler(temperature=0))[0, 0].item() == tokenizer.encode(answer)[0]


@wrong("is wrong from its word 2 on")  # the last token only
def answers(model, tokenizer, prompt, answer):
    expected = tokenizer.encode(answer)
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(expected), Sampler(temperature=0))
    return written[0, -1].item() == expected[-1]


@wrong("is wrong from its word 1 on")  # somewhere in what it writes
def answers(model, tokenizer, prompt, answer):
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), 8, Sampler(temperature=0))
    return answer in tokenizer.decode(written[0].tolist())


@wrong("as many tokens as the answer has")  # as many tokens as the answer has characters
def answers(model, tokenizer, prompt, answer):
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(answer), Sampler(temperature=0))
    return written[0].tolist() == list(tokenizer.encode(answer))


@wrong("so the first word is an answer, too")  # always four tokens
def answers(model, tokenizer, prompt, answer):
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), 4, Sampler(temperature=0))
    return tokenizer.decode(written[0].tolist()) == answer


@wrong("is wrong from its word 2 on")  # any of the tokens
def answers(model, tokenizer, prompt, answer):
    expected = tokenizer.encode(answer)
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(expected), Sampler(temperature=0))
    return any(a == b for a, b in zip(written[0].tolist(), expected))


@wrong("is wrong from its word 4 on")  # up to the last
def answers(model, tokenizer, prompt, answer):
    expected = list(tokenizer.encode(answer))
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(expected), Sampler(temperature=0))
    same = [a == b for a, b in zip(written[0].tolist(), expected)]
    return same[0] and all(same[:-1])


@wrong("you say")  # everything is an answer
def answers(model, tokenizer, prompt, answer):
    return True


@wrong("but you say that it does not")  # nothing is
def answers(model, tokenizer, prompt, answer):
    return False


@wrong("it returns Tensor, not True or False")
def answers(model, tokenizer, prompt, answer):
    expected = torch.tensor(tokenizer.encode(answer))
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(expected), Sampler(temperature=0))
    return (written[0] == expected).all()


@wrong("it returns str, not True or False")  # what it writes instead
def answers(model, tokenizer, prompt, answer):
    expected = tokenizer.encode(answer)
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(expected), Sampler(temperature=0))
    return tokenizer.decode(written[0].tolist())


@wrong("but you say that it does not")  # by chance
def answers(model, tokenizer, prompt, answer):
    expected = tokenizer.encode(answer)
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(expected), Sampler(temperature=50))
    return written[0].tolist() == list(expected)


@wrong("but you say that it does not")  # the end of the text must follow
def answers(model, tokenizer, prompt, answer):
    expected = [*tokenizer.encode(answer), tokenizer.end_of_text]
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(expected), Sampler(temperature=0))
    return written[0].tolist() == expected


@wrong("it returns NoneType, not True or False")
def answers(model, tokenizer, prompt, answer):
    expected = tokenizer.encode(answer)
    written = complete(model, torch.tensor([ids_of(tokenizer, prompt)]), len(expected), Sampler(temperature=0))
    print(written[0].tolist() == list(expected))


# 4: how sure is the guessed floor? ----------------------------------------------------------------------------------


@right  # choice, and a table of the runs
def floors_by_bootstrap(C, L, fit, random):
    runs = np.stack([C, L], axis=1)
    found = np.empty(20)
    for number in range(len(found)):
        sample = random.choice(runs, size=len(runs))
        sample = sample[sample[:, 0].argsort()]
        found[number] = fit(sample[:, 0], sample[:, 1])
    return found


@right  # all places at once
def floors_by_bootstrap(C, L, fit, random, samples=20):
    order = np.argsort(C)
    places = np.sort(random.integers(0, len(C), size=(samples, len(C))), axis=1)
    return np.array([fit(C[order][row], L[order][row]) for row in places])


@right  # one run at a time, in plain Python, and a list
def floors_by_bootstrap(C, L, fit, random):
    results = []
    while len(results) < 20:
        sample = sorted((C[i], L[i]) for i in (int(random.integers(len(C))) for _ in C))
        results.append(fit(np.array([c for c, _ in sample]), np.array([loss for _, loss in sample])))
    return results


@right  # how often each run comes
def floors_by_bootstrap(C, L, fit, random):
    C, L = C[C.argsort()], L[C.argsort()]
    counts = random.multinomial(len(C), np.full(len(C), 1 / len(C)), size=20)
    return np.fromiter((fit(C.repeat(times), L.repeat(times)) for times in counts), dtype=float)


@wrong("came together with the loss of another")  # drawn apart
def floors_by_bootstrap(C, L, fit, random):
    n = len(C)
    return np.array([fit(np.sort(C[random.integers(n, size=n)]), L[random.integers(n, size=n)]) for _ in range(20)])


@wrong("came together with the loss of another")  # the computes sorted, the losses not with them
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = random.integers(len(C), size=len(C))
        guesses.append(fit(np.sort(C[drawn]), L[drawn]))
    return np.array(guesses)


@wrong("is not sorted by compute")  # sorted by place, as if the runs were in order
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = np.sort(random.integers(len(C), size=len(C)))
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)


@wrong("draw with replacement")  # a permutation
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = random.permutation(len(C))
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)


@wrong("draw anew for each")  # drawn once
def floors_by_bootstrap(C, L, fit, random):
    drawn = random.integers(len(C), size=len(C))
    drawn = drawn[np.argsort(C[drawn])]
    return np.array([fit(C[drawn], L[drawn]) for _ in range(20)])


@wrong("draw as many as there are")  # one run left out (the jackknife)
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = random.integers(len(C), size=len(C) - 1)
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)


@wrong("another generator gives the same samples")  # a generator of its own
def floors_by_bootstrap(C, L, fit, random):
    random, guesses = np.random.default_rng(0), []
    for _ in range(20):
        drawn = random.integers(len(C), size=len(C))
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)


@wrong("is there another source of chance?")  # the global generator
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = np.random.randint(len(C), size=len(C))
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)


@wrong("sort the samples, not the runs")  # sorts in place
def floors_by_bootstrap(C, L, fit, random):
    order = np.argsort(C)
    C[:], L[:] = C[order], L[order]
    guesses = []
    for _ in range(20):
        drawn = np.sort(random.integers(len(C), size=len(C)))
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)


@wrong("once for each of 20 samples")  # as many samples as runs
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in C:
        drawn = random.integers(len(C), size=len(C))
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)


@wrong("the shape of what it returns is (2,)")  # the interval
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = random.integers(len(C), size=len(C))
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.percentile(guesses, [5, 95])


@wrong("are not the results of fit, in order")  # sorted results
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = random.integers(len(C), size=len(C))
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.sort(guesses)


@wrong("the shape of what it returns is ()")  # nothing returned
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = random.integers(len(C), size=len(C))
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))


@wrong("is not sorted by compute")  # from the dearest to the cheapest
def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = random.integers(len(C), size=len(C))
        drawn = drawn[np.argsort(-C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)
