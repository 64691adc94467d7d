"""Worked solutions of chapter 12's exercises."""

import numpy as np
import torch

from minigpt.sampling import Sampler, complete


def count_parameters(vocabulary_size, context_length, n_layers, width):
    attention = (width * 3 * width + 3 * width) + (width * width + width)
    mlp = (width * 4 * width + 4 * width) + (4 * width * width + width)
    norms = 2 * 2 * width
    return (vocabulary_size + context_length) * width + n_layers * (attention + mlp + norms) + 2 * width


def strided(T, w):
    distance = torch.arange(T)[:, None] - torch.arange(T)
    return (distance >= 0) & ((distance < w) | (distance % w == 0))


def answers(model, tokenizer, prompt, answer):
    expected = tokenizer.encode(answer)
    ids = torch.tensor([[tokenizer.end_of_text, *tokenizer.encode(prompt)]])
    return complete(model, ids, len(expected), Sampler(temperature=0))[0].tolist() == expected


def floors_by_bootstrap(C, L, fit, random):
    guesses = []
    for _ in range(20):
        drawn = random.integers(len(C), size=len(C))
        drawn = drawn[np.argsort(C[drawn])]
        guesses.append(fit(C[drawn], L[drawn]))
    return np.array(guesses)
