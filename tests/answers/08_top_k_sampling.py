"""Right and wrong answers to the exercises of chapter 08: see README.md."""

import math

import numpy as np
import torch

from minigpt.losses import entropy
from minigpt.sampling import temperature, top_k

# 1: exactly k


@right  # row by row, with Python's sorting, which is stable
def exactly_top_k(log_probs, k):
    rows = []
    for row in log_probs.reshape(-1, log_probs.shape[-1]).tolist():
        kept = sorted(range(len(row)), key=lambda i: -row[i])[:k]
        total = sum(math.exp(row[i]) for i in kept)
        rows.append([row[i] - math.log(total) if i in kept else -math.inf for i in range(len(row))])
    return torch.tensor(rows).reshape(log_probs.shape)


@right  # each token's rank: how many are above it, or equal and before it
def exactly_top_k(log_probs, k):
    above = (log_probs[..., None, :] > log_probs[..., :, None]).sum(-1)
    equal = (log_probs[..., None, :] == log_probs[..., :, None]) & torch.ones(log_probs.shape[-1:] * 2).tril(-1).bool()
    return log_probs.masked_fill(above + equal.sum(-1) >= k, -math.inf).log_softmax(dim=-1)


@right  # the best one, k times; argmax takes the first of equals
def exactly_top_k(log_probs, k):
    left, found = log_probs.clone(), torch.full_like(log_probs, -math.inf)
    for _ in range(k):
        best = left.argmax(dim=-1, keepdim=True)
        found.scatter_(-1, best, log_probs.gather(-1, best))
        left.scatter_(-1, best, -math.inf)
    return found - found.logsumexp(dim=-1, keepdim=True)


@right  # NumPy's stable sort of the negatives, and ranks by sorting twice
def exactly_top_k(log_probs, k):
    rank = (-log_probs.numpy()).argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
    p = np.where(rank < k, np.exp(log_probs.numpy()), 0.0)
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.log(p / p.sum(axis=-1, keepdims=True)))


@wrong("all that tie with the last one are kept")
def exactly_top_k(log_probs, k):
    return top_k(log_probs, k)


@wrong("among equals the larger token numbers are kept")
def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, stable=True).indices[..., -k:]
    return torch.full_like(log_probs, -math.inf).scatter(-1, best, log_probs.gather(-1, best)).log_softmax(-1)


@wrong("you keep")  # which of equals come first is left open
def exactly_top_k(log_probs, k):
    best = log_probs.topk(k, dim=-1)
    return torch.full_like(log_probs, -math.inf).scatter(-1, best.indices, best.values).log_softmax(-1)


@wrong("the probabilities of a row add up to")
def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.full_like(log_probs, -math.inf).scatter(-1, best, log_probs.gather(-1, best))


@wrong("nothing is dropped")  # the logarithm of 0 is not 0
def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.zeros_like(log_probs).scatter(-1, best, log_probs.gather(-1, best)).log_softmax(-1)


@wrong("nothing is dropped")  # probabilities, not their logarithms
def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.full_like(log_probs, -math.inf).scatter(-1, best, log_probs.gather(-1, best)).softmax(-1)


@wrong("keep the shape")  # only what is kept
def exactly_top_k(log_probs, k):
    return log_probs.sort(dim=-1, descending=True, stable=True).values[..., :k].log_softmax(-1)


@wrong("you keep")  # one too many
def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., : k + 1]
    return torch.full_like(log_probs, -math.inf).scatter(-1, best, log_probs.gather(-1, best)).log_softmax(-1)


@wrong("you keep")  # the least probable
def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, stable=True).indices[..., :k]
    return torch.full_like(log_probs, -math.inf).scatter(-1, best, log_probs.gather(-1, best)).log_softmax(-1)


@wrong("you keep")  # k of all rows together
def exactly_top_k(log_probs, k):
    flat = log_probs.flatten()
    best = flat.sort(descending=True, stable=True).indices[:k]
    return torch.full_like(flat, -math.inf).scatter(0, best, flat[best]).view_as(log_probs).log_softmax(-1)


@wrong("you keep")  # ties are broken by a handicap, which also turns some that are no ties
def exactly_top_k(log_probs, k):
    handicap = 0.3 * torch.arange(log_probs.shape[-1])
    kth = (log_probs - handicap).topk(k, dim=-1).values[..., -1:]
    return log_probs.masked_fill(log_probs - handicap < kth, -math.inf).log_softmax(-1)


@wrong("what is kept must keep its proportions")  # all that is kept alike
def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.full_like(log_probs, -math.inf).scatter(-1, best, 0.0).log_softmax(-1)


@wrong("your function changes the log-probabilities")
def exactly_top_k(log_probs, k):
    dropped = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., k:]
    log_probs.scatter_(-1, dropped, -math.inf)
    return log_probs.log_softmax(-1)


@wrong("IndexError")  # a matrix only
def exactly_top_k(log_probs, k):
    found = torch.full_like(log_probs, -math.inf)
    for number, row in enumerate(log_probs):
        best = row.sort(descending=True, stable=True).indices[:k]
        found[number, best] = row[best]
    return found.log_softmax(-1)


@wrong("not a NoneType")
def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    torch.full_like(log_probs, -math.inf).scatter(-1, best, log_probs.gather(-1, best)).log_softmax(-1)


# 2: no n-gram twice


@right  # loops over rows and places
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        beginning = tokens[len(tokens) - n + 1 :]
        for i in range(len(tokens) - n + 1):
            if tokens[i : i + n - 1] == beginning:
                row[tokens[i + n - 1]] = -math.inf
    return found.log_softmax(dim=-1)


@right  # a dictionary from beginnings to ends, as most libraries do
def without_repeats(log_probs, seen, n):
    banned = torch.zeros(log_probs.shape, dtype=torch.bool)
    for number, tokens in enumerate(seen.tolist()):
        ends = {}
        for gram in zip(*(tokens[i:] for i in range(n))):
            ends.setdefault(gram[:-1], set()).add(gram[-1])
        for token in ends.get(tuple(tokens[-(n - 1) :]), ()):
            banned[number, token] = True
    return log_probs.masked_fill(banned, -math.inf).log_softmax(dim=-1)


@right  # each token is tried: would its n-gram stand twice?
def without_repeats(log_probs, seen, n):
    p = log_probs.exp().tolist()
    for row, tokens in zip(p, seen.tolist()):
        grams = {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}
        for token in range(len(row)):
            if (*tokens[len(tokens) - n + 1 :], token) in grams:
                row[token] = 0.0
    p = torch.tensor(p)
    return (p / p.sum(dim=-1, keepdim=True)).log()


@right  # shifted comparisons, scattered
def without_repeats(log_probs, seen, n):
    B, T = seen.shape
    if T < n:
        return log_probs.clone()
    same = torch.ones(B, T - n + 1, dtype=torch.bool)
    for i in range(n - 1):
        same &= seen[:, i : T - n + 1 + i] == seen[:, T - n + 1 + i, None]
    banned = torch.zeros_like(log_probs).scatter_add(1, seen[:, n - 1 :], same.to(log_probs.dtype))
    return torch.where(banned > 0, -math.inf, log_probs).log_softmax(-1)


@wrong("all that was written before is forbidden")
def without_repeats(log_probs, seen, n):
    banned = torch.zeros_like(log_probs).scatter(1, seen, 1.0).bool()
    return log_probs.masked_fill(banned, -math.inf).log_softmax(-1)


@wrong("other rows do not count")
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    rows = seen.tolist()
    for row, tokens in zip(found, rows):
        for other in rows:
            for i in range(len(other) - n + 1):
                if other[i : i + n - 1] == tokens[len(tokens) - n + 1 :]:
                    row[other[i + n - 1]] = -math.inf
    return found.log_softmax(-1)


@wrong("one token less than asked is compared")
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for i in range(len(tokens) - n + 2):
            if tokens[i : i + n - 2] == tokens[len(tokens) - n + 2 :]:
                row[tokens[i + n - 2]] = -math.inf
    return found.log_softmax(-1)


@wrong("one token more than asked is compared")
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for i in range(len(tokens) - n):
            if tokens[i : i + n] == tokens[-n:]:
                row[tokens[i + n]] = -math.inf
    return found.log_softmax(-1)


@wrong("a beginning may have stood there several times")  # a dictionary that keeps the last end only
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        ends = {tuple(tokens[i : i + n - 1]): tokens[i + n - 1] for i in range(len(tokens) - n + 1)}
        token = ends.get(tuple(tokens[len(tokens) - n + 1 :]))
        if token is not None:
            row[token] = -math.inf
    return found.log_softmax(-1)


@wrong("you forbid")  # the first time only
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for i in range(len(tokens) - n + 1):
            if tokens[i : i + n - 1] == tokens[len(tokens) - n + 1 :]:
                row[tokens[i + n - 1]] = -math.inf
                break
    return found.log_softmax(-1)


@wrong("you forbid")  # the last n-gram is left out
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for i in range(len(tokens) - n):
            if tokens[i : i + n - 1] == tokens[len(tokens) - n + 1 :]:
                row[tokens[i + n - 1]] = -math.inf
    return found.log_softmax(-1)


@wrong("you forbid")  # pairs only, whatever n is
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for before, after in zip(tokens, tokens[1:]):
            if before == tokens[-1]:
                row[after] = -math.inf
    return found.log_softmax(-1)


@wrong("you forbid")  # n-grams that do not overlap
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for i in range(0, len(tokens) - n + 1, n):
            if tokens[i : i + n - 1] == tokens[len(tokens) - n + 1 :]:
                row[tokens[i + n - 1]] = -math.inf
    return found.log_softmax(-1)


@wrong("you forbid")  # the first row stands for all
def without_repeats(log_probs, seen, n):
    found, tokens = log_probs.clone(), seen[0].tolist()
    for i in range(len(tokens) - n + 1):
        if tokens[i : i + n - 1] == tokens[len(tokens) - n + 1 :]:
            found[:, tokens[i + n - 1]] = -math.inf
    return found.log_softmax(-1)


@wrong("you forbid")  # what begins the text, not what ends it
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for i in range(len(tokens) - n + 1):
            if tokens[i : i + n - 1] == tokens[: n - 1]:
                row[tokens[i + n - 1]] = -math.inf
    return found.log_softmax(-1)


@wrong("normalise again")
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for i in range(len(tokens) - n + 1):
            if tokens[i : i + n - 1] == tokens[len(tokens) - n + 1 :]:
                row[tokens[i + n - 1]] = -math.inf
    return found


@wrong("you forbid []")  # a large penalty instead of a ban
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for row, tokens in zip(found, seen.tolist()):
        for i in range(len(tokens) - n + 1):
            if tokens[i : i + n - 1] == tokens[len(tokens) - n + 1 :]:
                row[tokens[i + n - 1]] -= 5
    return found.log_softmax(-1)


@wrong("your function changes its arguments")
def without_repeats(log_probs, seen, n):
    for row, tokens in zip(log_probs, seen.tolist()):
        for i in range(len(tokens) - n + 1):
            if tokens[i : i + n - 1] == tokens[len(tokens) - n + 1 :]:
                row[tokens[i + n - 1]] = -math.inf
    return log_probs.log_softmax(-1)


@wrong("RuntimeError")  # a text shorter than n cannot be unfolded
def without_repeats(log_probs, seen, n):
    grams = seen.unfold(1, n, 1)
    same = (grams[:, :, :-1] == seen[:, None, -(n - 1) :]).all(dim=2)
    banned = torch.zeros_like(log_probs).scatter_add(1, grams[:, :, -1], same.float())
    return log_probs.masked_fill(banned > 0, -math.inf).log_softmax(-1)


_told = {}


@wrong("you forbid")  # what one call has seen is there in the next
def without_repeats(log_probs, seen, n):
    found = log_probs.clone()
    for number, (row, tokens) in enumerate(zip(found, seen.tolist())):
        ends = _told.setdefault(number, {})
        for i in range(len(tokens) - n + 1):
            ends.setdefault(tuple(tokens[i : i + n - 1]), set()).add(tokens[i + n - 1])
        for token in ends.get(tuple(tokens[len(tokens) - n + 1 :]), ()) if len(tokens) >= n else seen[number]:
            row[token] = -math.inf
    return found.log_softmax(-1)


# 3: a temperature for a diversity


@right  # a grid
def temperature_for(log_probs, nats):
    grid = [0.05 + 0.005 * i for i in range(991)]
    return min(grid, key=lambda t: abs(entropy((log_probs / t).log_softmax(-1)).mean().item() - nats))


@right  # halving, with the chapter's rule, as a tensor of one number
def temperature_for(log_probs, nats):
    low, high = torch.tensor(0.05, dtype=torch.float64), torch.tensor(10.0, dtype=torch.float64)
    for _ in range(40):
        middle = (low + high) / 2
        p = temperature(log_probs, middle.item()).exp()
        if -(p * p.log()).sum(dim=-1).mean() > nats:
            high = middle
        else:
            low = middle
    return middle


@right  # NumPy, a grid and a line between its points
def temperature_for(log_probs, nats):
    grid = np.linspace(0.05, 5, 496)
    z = log_probs.numpy()[None] / grid[:, None, None]
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return np.interp(nats, -(p * np.log(p + 1e-300)).sum(axis=-1).mean(axis=1), grid)


@right  # Newton's method on log t: the slope of the entropy is the variance of log p, over t squared
def temperature_for(log_probs, nats):
    s = 0.0
    for _ in range(60):
        z = log_probs * math.exp(-s)
        log_p = z.log_softmax(-1)
        p = log_p.exp()
        variance = (p * z.square()).sum(-1) - (p * z).sum(-1).square()
        step = (nats - -(p * log_p).sum(-1).mean()) / variance.mean()
        s += max(-0.3, min(0.3, step.item()))
    return math.exp(s)


@wrong("that is 1 / t")  # by the power, not by the temperature
def temperature_for(log_probs, nats):
    low, high = 0.05, 5.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        if entropy((log_probs * middle).log_softmax(-1)).mean() > nats:
            low = middle
        else:
            high = middle
    return low


@wrong("that makes the bits so many, but nats are asked")
def temperature_for(log_probs, nats):
    grid = [0.05 + 0.002 * i for i in range(2476)]
    return min(grid, key=lambda t: abs(entropy((log_probs / t).log_softmax(-1)).mean().item() / math.log(2) - nats))


@wrong("that is for the entropy of the mean distribution")
def temperature_for(log_probs, nats):
    low, high = 0.01, 20.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        p = (log_probs / middle).softmax(-1).mean(dim=0)
        if -(p * p.log()).sum() < nats:
            low = middle
        else:
            high = middle
    return low


@wrong("at which the mean entropy is")  # the first place only
def temperature_for(log_probs, nats):
    low, high = 0.02, 60.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        if entropy((log_probs[0] / middle).log_softmax(-1)) < nats:
            low = middle
        else:
            high = middle
    return low


@wrong("return one temperature for all places")  # each place its own
def temperature_for(log_probs, nats):
    low, high = torch.full(log_probs.shape[:1], 0.05), torch.full(log_probs.shape[:1], 50.0)
    for _ in range(30):
        middle = (low * high).sqrt()
        less = entropy((log_probs / middle[:, None]).log_softmax(-1)) < nats
        low, high = torch.where(less, middle, low), torch.where(less, high, middle)
    return low


@wrong("at which the mean entropy is")  # the sum over all places
def temperature_for(log_probs, nats):
    low, high = 0.05, 5.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        if entropy((log_probs / middle).log_softmax(-1)).sum() < nats:
            low = middle
        else:
            high = middle
    return low


@wrong("at which the mean entropy is")  # the wrong half
def temperature_for(log_probs, nats):
    low, high = 0.05, 5.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        if entropy((log_probs / middle).log_softmax(-1)).mean() < nats:
            high = middle
        else:
            low = middle
    return low


@wrong("at which the mean entropy is")  # not normalised after the division
def temperature_for(log_probs, nats):
    grid = [0.05 + 0.005 * i for i in range(991)]
    return min(grid, key=lambda t: abs(-((log_probs / t).exp() * (log_probs / t)).sum(-1).mean().item() - nats))


@wrong("at which the mean entropy is")  # steps too wide
def temperature_for(log_probs, nats):
    grid = [0.13, 0.2, 0.3, 0.8, 1.0, 1.2, 1.4, 3.1, 3.3, 5.0]
    return min(grid, key=lambda t: abs(entropy((log_probs / t).log_softmax(-1)).mean().item() - nats))


@wrong("at which the mean entropy is")  # only temperatures that cool
def temperature_for(log_probs, nats):
    grid = [0.005 * i for i in range(1, 201)]
    return min(grid, key=lambda t: abs(entropy((log_probs / t).log_softmax(-1)).mean().item() - nats))


@wrong("at which the mean entropy is")  # as if entropy grew in proportion
def temperature_for(log_probs, nats):
    return nats / entropy(log_probs).mean().item()


@wrong("at which the mean entropy is")  # the entropy, not the temperature
def temperature_for(log_probs, nats):
    grid = [0.05 + 0.005 * i for i in range(991)]
    entropies = [entropy((log_probs / t).log_softmax(-1)).mean().item() for t in grid]
    return min(entropies, key=lambda h: abs(h - nats))


@wrong("your function changes the log-probabilities")  # each trial on top of the one before
def temperature_for(log_probs, nats):
    t = 1.0
    while entropy(log_probs).mean() > nats:
        log_probs *= 1.01
        log_probs -= log_probs.logsumexp(-1, keepdim=True)
        t /= 1.01
    while entropy(log_probs).mean() < nats:
        log_probs /= 1.01
        log_probs -= log_probs.logsumexp(-1, keepdim=True)
        t *= 1.01
    return t


@wrong("returns nothing")
def temperature_for(log_probs, nats):
    grid = [0.05 + 0.005 * i for i in range(991)]
    t = min(grid, key=lambda t: abs(entropy((log_probs / t).log_softmax(-1)).mean().item() - nats))


@wrong("at which the mean entropy is")  # the search begins at 0.2
def temperature_for(log_probs, nats):
    low, high = 0.2, 5.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        if entropy((log_probs / middle).log_softmax(-1)).mean() < nats:
            low = middle
        else:
            high = middle
    return low


# 4: the best of n


@right  # loops
def best_of(model, ids, n, end):
    log_probs, kept = model.log_probs(ids[:, :-1]).tolist(), []
    rows = ids.tolist()
    for begin in range(0, len(rows), n):
        means = []
        for number in range(begin, begin + n):
            stop = rows[number].index(end, 1)
            found = [log_probs[number][t - 1][rows[number][t]] for t in range(1, stop + 1)]
            means.append(sum(found) / len(found))
        kept.append(begin + means.index(max(means)))
    return kept


@right  # one row at a time, cut behind its end, and a dictionary of groups
def best_of(model, ids, n, end):
    groups = {}
    for number, row in enumerate(ids):
        length = 2 + int((row[1:] == end).int().argmax())
        row = row[:length]
        log_probs = model.log_probs(row[None, :-1])[0].double()
        mean = log_probs[torch.arange(length - 1), row[1:]].mean().item()
        groups.setdefault(number // n, []).append((mean, number))
    return torch.tensor([max(group)[1] for group in groups.values()])


@right  # NumPy, with the perplexity, of which the least is the best
def best_of(model, ids, n, end):
    chosen = model.log_probs(ids)[:, :-1].gather(2, ids[:, 1:, None])[:, :, 0].double().numpy()
    stop = (ids[:, 1:] == end).numpy().argmax(axis=1)
    sums = chosen.cumsum(axis=1)[np.arange(len(ids)), stop]
    perplexity = np.exp(-sums / (stop + 1)).reshape(-1, n)
    return perplexity.argmin(axis=1) + np.arange(0, len(ids), n)


@right  # weights that are 0 behind the end, einsum, and nan for no row
def best_of(model, ids, n, end):
    after = torch.cat([torch.zeros(len(ids), 1), (ids[:, 1:-1] == end).cumsum(1)], dim=1)
    weights = (after == 0).double()
    chosen = model.log_probs(ids[:, :-1]).double().gather(2, ids[:, 1:].unsqueeze(2)).squeeze(2)
    means = torch.einsum("nt,nt->n", chosen, weights) / weights.sum(1)
    return [max(range(i, i + n), key=lambda row: means[row]) for i in range(0, len(ids), n)]


def scored(model, ids):
    return model.log_probs(ids[:, :-1]).gather(2, ids[:, 1:, None])[..., 0]  # (N, T - 1)


def until_end(ids, end):
    ends = ids[:, 1:] == end
    return ends.cumsum(dim=1) - ends.int() == 0


def pick(scores, n):
    return scores.view(-1, n).argmax(dim=1) + n * torch.arange(len(scores) // n)


@wrong("take the mean: the sum favours short tales")
def best_of(model, ids, n, end):
    return pick((scored(model, ids) * until_end(ids, end)).sum(dim=1), n)


@wrong("the first end counts, too")
def best_of(model, ids, n, end):
    inside = (ids[:, 1:] == end).cumsum(dim=1) == 0
    return pick((scored(model, ids) * inside).sum(dim=1) / inside.sum(dim=1), n)


@wrong("what is behind the first end must not count")
def best_of(model, ids, n, end):
    return pick(scored(model, ids).mean(dim=1), n)


@wrong("you keep")  # what is behind does not count, but is divided by
def best_of(model, ids, n, end):
    return pick((scored(model, ids) * until_end(ids, end)).mean(dim=1), n)


@wrong("take the mean of the logarithms, not of the probabilities")
def best_of(model, ids, n, end):
    counted = until_end(ids, end)
    return pick((scored(model, ids).exp() * counted).sum(dim=1) / counted.sum(dim=1), n)


@wrong("that is the one that the model likes least")  # the least log-likelihood, as if it were a loss
def best_of(model, ids, n, end):
    counted = until_end(ids, end)
    return pick(-(scored(model, ids) * counted).sum(dim=1) / counted.sum(dim=1), n)


@wrong("number the rows of all, not those of each group")
def best_of(model, ids, n, end):
    counted = until_end(ids, end)
    means = (scored(model, ids) * counted).sum(dim=1) / counted.sum(dim=1)
    return means.view(-1, n).argmax(dim=1)


@wrong("you keep")  # every N / n-th row belongs together
def best_of(model, ids, n, end):
    counted = until_end(ids, end)
    means = (scored(model, ids) * counted).sum(dim=1) / counted.sum(dim=1)
    groups = len(ids) // n
    return means.view(n, groups).argmax(dim=0) * groups + torch.arange(groups)


@wrong("you keep")  # each token is judged by the distribution behind it
def best_of(model, ids, n, end):
    log_probs = model.log_probs(ids).gather(2, ids[..., None])[:, 1:, 0]
    counted = until_end(ids, end)
    return pick((log_probs * counted).sum(dim=1) / counted.sum(dim=1), n)


@wrong("row number for each of the")  # the tales themselves
def best_of(model, ids, n, end):
    counted = until_end(ids, end)
    return ids[pick((scored(model, ids) * counted).sum(dim=1) / counted.sum(dim=1), n)]


@wrong("row number for each of the")  # the best n of all
def best_of(model, ids, n, end):
    counted = until_end(ids, end)
    return ((scored(model, ids) * counted).sum(dim=1) / counted.sum(dim=1)).topk(n).indices


@wrong("you keep")  # the end is always token 0
def best_of(model, ids, n, end):
    counted = until_end(ids, 0)
    return pick((scored(model, ids) * counted).sum(dim=1) / counted.sum(dim=1), n)


@wrong("you keep")  # the shortest tale
def best_of(model, ids, n, end):
    return pick(-until_end(ids, end).sum(dim=1), n)


@wrong("returns nothing")
def best_of(model, ids, n, end):
    counted = until_end(ids, end)
    pick((scored(model, ids) * counted).sum(dim=1) / counted.sum(dim=1), n)


@wrong("you keep")  # the first best of the whole group of a fixed size
def best_of(model, ids, n, end):
    counted = until_end(ids, end)
    means = (scored(model, ids) * counted).sum(dim=1) / counted.sum(dim=1)
    return [begin + int(means[begin : begin + 2].argmax()) for begin in range(0, len(ids), n)]
