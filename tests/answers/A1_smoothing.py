"""Right and wrong answers to assignment A1 (see README.md)."""

import math
from collections import Counter, defaultdict

import numpy as np
import torch

from minigpt.language_model import LanguageModel
from minigpt.ngram import KneserNey, ModifiedKneserNey

kept = defaultdict(Counter)


# 1: counts -----------------------------------------------------------------------------------------------------------


@right  # documents one by one, each with the END that ends it
def count(ids, n, end):
    counts = defaultdict(lambda: defaultdict(int))
    starts = [i for i, token in enumerate(ids) if token == end]
    for start, stop in zip(starts, [*starts[1:], len(ids) - 1]):
        document = ids[start : stop + 1]
        for window in zip(*[document[k:] for k in range(n)]):
            counts[window[:-1]][window[-1]] += 1
    if n == 1:
        counts = {(): Counter(ids[1:])}
    return {history: dict(followers) for history, followers in counts.items()}


@right  # all windows, sorted out afterwards
def count(ids, n, end):
    windows = Counter(tuple(ids[i : i + n]) for i in range(len(ids) - n + 1))
    if n == 1:
        windows[(ids[0],)] -= 1
    counts = defaultdict(Counter)
    for window, number in windows.items():
        if number and end not in window[1:-1]:
            counts[window[:-1]][window[-1]] = number
    return counts


@right  # a history that moves along
def count(ids, n, end):
    counts, history = {}, (ids[0],)
    for token in ids[1:]:
        if len(history) >= n - 1:
            followers = counts.setdefault(history[len(history) - n + 1 :], {})
            followers[token] = followers.get(token, 0) + 1
        history = (end,) if token == end else history + (token,)
    return counts


@right  # whole numbers of NumPy's
def count(ids, n, end, first=1):
    counts = {}
    row = np.array(ids)
    for i in range(max(n - 1, first), len(ids)):
        if not (row[i - n + 2 : i] == end).any():
            history = tuple(row[i - n + 1 : i].tolist())
            counts.setdefault(history, {}).setdefault(ids[i], np.int64(0))
            counts[history][ids[i]] += 1
    return counts


@wrong("histories reach across END")
def count(ids, n, end):
    counts = defaultdict(Counter)
    for i in range(max(n - 1, 1), len(ids)):
        counts[tuple(ids[i - n + 1 : i])][ids[i]] += 1
    return counts


@wrong("a history may begin with END")
def count(ids, n, end):
    counts = defaultdict(Counter)
    for i in range(max(n - 1, 1), len(ids)):
        if end not in ids[i - n + 1 : i]:
            counts[tuple(ids[i - n + 1 : i])][ids[i]] += 1
    return counts


@wrong("END is predicted, too")
def count(ids, n, end):
    counts = defaultdict(Counter)
    for i in range(max(n - 1, 1), len(ids)):
        if end not in ids[i - n + 2 : i + 1]:
            counts[tuple(ids[i - n + 1 : i])][ids[i]] += 1
    return counts


@wrong("the last token of the list is missing")
def count(ids, n, end):
    counts = defaultdict(Counter)
    for i in range(max(n - 1, 1), len(ids) - 1):
        if end not in ids[i - n + 2 : i]:
            counts[tuple(ids[i - n + 1 : i])][ids[i]] += 1
    return counts


@wrong("the first token of the list has nothing before it")
def count(ids, n, end):
    counts = defaultdict(Counter)
    for i in range(n - 1, len(ids)):
        if end not in ids[i - n + 2 : i]:
            counts[tuple(ids[i - n + 1 : i])][ids[i]] += 1
    return counts


@wrong("must be a tuple of")  # histories of n tokens
def count(ids, n, end):
    counts = defaultdict(Counter)
    for i in range(n, len(ids)):
        if end not in ids[i - n + 1 : i]:
            counts[tuple(ids[i - n : i])][ids[i]] += 1
    return counts


@wrong("must be a tuple of")  # a history is a number
def count(ids, n, end):
    counts = defaultdict(Counter)
    for i in range(max(n - 1, 1), len(ids)):
        if end not in ids[i - n + 2 : i]:
            counts[sum(53**k * token for k, token in enumerate(ids[i - n + 1 : i]))][ids[i]] += 1
    return counts


@wrong("that says who followed, not how often")
def count(ids, n, end):
    counts = defaultdict(dict)
    for i in range(max(n - 1, 1), len(ids)):
        if end not in ids[i - n + 2 : i]:
            counts[tuple(ids[i - n + 1 : i])][ids[i]] = 1
    return counts


@wrong("needs a dictionary of its followers")  # lists of them
def count(ids, n, end):
    counts = defaultdict(list)
    for i in range(max(n - 1, 1), len(ids)):
        if end not in ids[i - n + 2 : i]:
            counts[tuple(ids[i - n + 1 : i])].append(ids[i])
    return counts


@wrong("changes the list")
def count(ids, n, end):
    counts = defaultdict(Counter)
    while len(ids) >= max(n, 2):
        *history, token = ids[-n:]
        if end not in history[1:]:
            counts[tuple(history)][token] += 1
        ids.pop()
    return counts


@wrong("and not None")
def count(ids, n, end):
    counts = defaultdict(Counter)
    for i in range(max(n - 1, 1), len(ids)):
        counts[tuple(ids[i - n + 1 : i])][ids[i]] += 1


@wrong("must be a tuple of")  # kept from call to call
def count(ids, n, end):
    for i in range(max(n - 1, 1), len(ids)):
        if end not in ids[i - n + 2 : i]:
            kept[tuple(ids[i - n + 1 : i])][ids[i]] += 1
    return kept


# 2: absolute discounting ---------------------------------------------------------------------------------------------


@right  # arrays
def absolute(following, lower, discount):
    counts = np.zeros(len(lower))
    counts[list(following)] = list(following.values())
    if not counts.any():
        return lower
    taken = np.minimum(counts, discount)
    return (counts - taken + taken.sum() * lower) / counts.sum()


@right  # a list
def absolute(following, lower, discount):
    total = sum(following.values())
    share = discount * len(following) / total if total else 1
    return [max(following.get(w, 0) - discount, 0) / (total or 1) + share * p for w, p in enumerate(lower)]


@right  # a tensor, and the share is what is left
def absolute(following, lower, discount):
    direct = torch.zeros(len(lower), dtype=torch.float64)
    for token, number in following.items():
        direct[token] = (number - discount) / sum(following.values())
    return direct + (1 - direct.sum()) * torch.from_numpy(lower)


@right  # recursion over the followers
def absolute(following, lower, discount, total=None):
    total = total or sum(following.values())
    if not following:
        return np.array(lower)
    (token, number), *others = following.items()
    one = np.zeros(len(lower))
    one[token] = number - discount
    rest = absolute(dict(others), lower, discount, total) if others else 0
    return rest + (one + discount * lower) / total


@wrong("what was taken is not handed out")
def absolute(following, lower, discount):
    if not following:
        return lower
    return [max(following.get(w, 0) - discount, 0) / sum(following.values()) for w in range(len(lower))]


@wrong("the counts are not discounted")
def absolute(following, lower, discount):
    if not following:
        return lower
    total = sum(following.values())
    return [(following.get(w, 0) + discount * len(following) * p) / total for w, p in enumerate(lower)]


@wrong("so the share is d K / N, not d; the sum")
def absolute(following, lower, discount):
    total = sum(following.values())
    if not total:
        return lower
    return [max(following.get(w, 0) - discount, 0) / total + discount * p for w, p in enumerate(lower)]


@wrong("so the share is d K / N, not d / N")
def absolute(following, lower, discount):
    total = sum(following.values())
    if not total:
        return lower
    return [(max(following.get(w, 0) - discount, 0) + discount * p) / total for w, p in enumerate(lower)]


@wrong("seen tokens get their part of the level below")  # backoff
def absolute(following, lower, discount):
    total = sum(following.values())
    if not total:
        return lower
    share = discount * len(following) / total
    return [(following[w] - discount) / total if w in following else share * p for w, p in enumerate(lower)]


@wrong("K tokens were different, not N - K")
def absolute(following, lower, discount):
    total = sum(following.values())
    if not total:
        return lower
    share = discount * (total - len(following)) / total
    return [max(following.get(w, 0) - discount, 0) / total + share * p for w, p in enumerate(lower)]


@wrong("your code stopped with a ZeroDivisionError")
def absolute(following, lower, discount):
    total = sum(following.values())
    share = discount * len(following) / total
    return [max(following.get(w, 0) - discount, 0) / total + share * p for w, p in enumerate(lower)]


@wrong("after an unseen history the level below decides alone")
def absolute(following, lower, discount):
    total = sum(following.values()) or 1
    share = discount * len(following) / total
    return [max(following.get(w, 0) - discount, 0) / total + share * p for w, p in enumerate(lower)]


@wrong("an unseen history, {}")  # all alike
def absolute(following, lower, discount):
    total = sum(following.values())
    if not total:
        return [1 / len(lower)] * len(lower)
    share = discount * len(following) / total
    return [max(following.get(w, 0) - discount, 0) / total + share * p for w, p in enumerate(lower)]


@wrong("your function changes `lower`")
def absolute(following, lower, discount):
    total = sum(following.values())
    if total:
        lower *= discount * len(following) / total
        for token, number in following.items():
            lower[token] += (number - discount) / total
    return lower


@wrong("your function changes `following`")
def absolute(following, lower, discount):
    total = sum(following.values())
    if not total:
        return lower
    for token in following:
        following[token] -= discount
    share = 1 - sum(following.values()) / total
    return [following.get(w, 0) / total + share * p for w, p in enumerate(lower)]


@wrong("not None")
def absolute(following, lower, discount):
    print(lower)


@wrong("probabilities, not")  # one for each that was seen
def absolute(following, lower, discount):
    total = sum(following.values())
    return {w: (c - discount + discount * len(following) * lower[w]) / total for w, c in following.items()}


@wrong("probabilities, not")  # sized for tales
def absolute(following, lower, discount):
    probabilities = np.zeros(53)
    probabilities[: len(lower)] = lower
    return probabilities


# 3: weights by buckets -----------------------------------------------------------------------------------------------


@right  # bucket by bucket
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = []
    for b in range(n_buckets):
        weight, h, l = 0.5, high[bucket == b], low[bucket == b]
        for _ in range(rounds if len(h) else 0):
            weight = np.mean(weight * h / (weight * h + (1 - weight) * l))
        weights.append(weight)
    return weights


@right  # token by token
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = [0.5] * n_buckets
    for _ in range(rounds):
        sums, sizes = [0.0] * n_buckets, [0] * n_buckets
        for h, l, b in zip(high.tolist(), low.tolist(), bucket.tolist()):
            sums[b] += weights[b] * h / (weights[b] * h + (1 - weights[b]) * l)
            sizes[b] += 1
        weights = [s / n if n else 0.5 for s, n in zip(sums, sizes)]
    return tuple(weights)


@right  # in PyTorch
def bucket_weights(high, low, bucket, n_buckets, rounds):
    high, low, bucket = map(torch.from_numpy, (high, low, bucket))
    weights = torch.full((n_buckets,), 0.5, dtype=torch.float64)
    for _ in range(rounds):
        odds = weights[bucket] / (1 - weights[bucket]) * high / low
        weights = weights.scatter_reduce(0, bucket, odds / (1 + odds), "mean", include_self=False)
    return weights


@right  # the slope of the log-likelihood does the same
def bucket_weights(high, low, bucket, n_buckets, rounds):
    inside = np.eye(n_buckets)[bucket]
    sizes = np.maximum(inside.sum(axis=0), 1)
    weights = np.ones(n_buckets) / 2
    for _ in range(rounds):
        mixed = low + weights[bucket] * (high - low)
        slope = (inside * ((high - low) / mixed)[:, None]).sum(axis=0)
        weights = weights + weights * (1 - weights) * slope / sizes
    return weights


@wrong("these are the weights of the lower level")
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = []
    for b in range(n_buckets):
        weight, h, l = 0.5, high[bucket == b], low[bucket == b]
        for _ in range(rounds if len(h) else 0):
            weight = np.mean(weight * l / (weight * l + (1 - weight) * h))
        weights.append(weight)
    return weights


@wrong("each bucket has a weight of its own")
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weight = 0.5
    for _ in range(rounds):
        weight = np.mean(weight * high / (weight * high + (1 - weight) * low))
    return np.full(n_buckets, weight)


@wrong("a weight is no number")
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.5)
    for _ in range(rounds):
        r = weights[bucket] * high / (weights[bucket] * high + (1 - weights[bucket]) * low)
        with np.errstate(all="ignore"):
            weights = np.bincount(bucket, r, n_buckets) / np.bincount(bucket, minlength=n_buckets)
    return weights


@wrong("a bucket with no token keeps its 1/2")
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.5)
    for _ in range(rounds):
        r = weights[bucket] * high / (weights[bucket] * high + (1 - weights[bucket]) * low)
        weights = np.bincount(bucket, r, n_buckets) / np.maximum(1, np.bincount(bucket, minlength=n_buckets))
    return weights


@wrong("divide by the tokens of the bucket, not by all")
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.5)
    for _ in range(rounds):
        r = weights[bucket] * high / (weights[bucket] * high + (1 - weights[bucket]) * low)
        weights = np.array([r[bucket == b].sum() / len(r) if (bucket == b).any() else 0.5 for b in range(n_buckets)])
    return weights


@wrong("that is after 1 rounds")  # the weights are never used again
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.5)
    for _ in range(rounds):
        r = high / (high + low)
        weights = np.array([r[bucket == b].mean() if (bucket == b).any() else 0.5 for b in range(n_buckets)])
    return weights


@wrong("rounds: that is after")  # one too many
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.5)
    for _ in range(rounds + 1):
        r = weights[bucket] * high / (weights[bucket] * high + (1 - weights[bucket]) * low)
        weights = np.array([r[bucket == b].mean() if (bucket == b).any() else 0.5 for b in range(n_buckets)])
    return weights


@wrong("but should be")  # another start
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.9)
    for _ in range(rounds):
        r = weights[bucket] * high / (weights[bucket] * high + (1 - weights[bucket]) * low)
        weights = np.array([r[bucket == b].mean() if (bucket == b).any() else 0.5 for b in range(n_buckets)])
    return weights


@wrong("but should be")  # each token goes wholly to one level
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.5)
    for _ in range(rounds):
        r = weights[bucket] * high > (1 - weights[bucket]) * low
        weights = np.array([r[bucket == b].mean() if (bucket == b).any() else 0.5 for b in range(n_buckets)])
    return weights


@wrong("changes an array")
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.5)
    for _ in range(rounds):
        r = weights[bucket] * high / (weights[bucket] * high + (1 - weights[bucket]) * low)
        weights = np.array([r[bucket == b].mean() if (bucket == b).any() else 0.5 for b in range(n_buckets)])
    high *= weights[bucket]
    return weights


@wrong("one a bucket, not")  # of each token
def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights = np.full(n_buckets, 0.5)
    for _ in range(rounds):
        r = weights[bucket] * high / (weights[bucket] * high + (1 - weights[bucket]) * low)
        weights = np.array([r[bucket == b].mean() if (bucket == b).any() else 0.5 for b in range(n_buckets)])
    return weights[bucket]


@wrong("not None")
def bucket_weights(high, low, bucket, n_buckets, rounds):
    print(high / (high + low))


# 4: a model ----------------------------------------------------------------------------------------------------------


class Base(LanguageModel):
    """All but the smoothing."""

    order = 9

    def __init__(self, vocabulary_size, end_of_text):
        self.vocabulary_size, self.end_of_text = vocabulary_size, end_of_text

    def fit(self, ids):
        self.counts, self.known = {}, {}
        for n in range(1, self.order + 1):
            self.counts.update({history: dict(row) for history, row in count(ids, n, self.end_of_text).items()})

    def mix(self, following, lower):
        return absolute(following, lower, 0.75)

    def after(self, history):
        if history not in self.known:
            V = self.vocabulary_size
            lower = self.after(history[1:]) if history else np.full(V, 1 / V)
            self.known[history] = self.mix(self.counts.get(history, {}), lower)
        return self.known[history]

    def history(self, row, t):
        seen = row[max(0, t - self.order + 2) : t + 1]
        while self.end_of_text in seen[1:]:
            seen = seen[1:]
        return tuple(seen)

    def log_probs(self, ids):
        rows = [[np.log(self.after(self.history(row, t))) for t in range(len(row))] for row in ids.tolist()]
        return torch.tensor(np.array(rows))


@right  # Dirichlet smoothing
class Smoothed(Base):
    def mix(self, following, lower):
        mixed = 5 * lower
        for token, number in following.items():
            mixed[token] += number
        return mixed / (sum(following.values()) + 5)


@right  # Witten and Bell
class Smoothed(Base):
    def mix(self, following, lower):
        if not following:
            return lower
        direct = np.zeros(len(lower))
        direct[list(following)] = list(following.values())
        return (direct + len(following) * lower) / (direct.sum() + len(following))


@right  # weights by buckets, in float32
class Smoothed(Base):
    def mix(self, following, lower):
        total = sum(following.values())
        weight = (0.0, 0.6, 0.8, 0.9, 0.95)[min(4, int(math.log2(total + 1)))]
        direct = np.zeros(len(lower))
        direct[list(following)] = list(following.values())
        return weight * direct / max(total, 1) + (1 - weight) * lower

    def log_probs(self, ids):
        return super().log_probs(ids).float()


@right  # reads on with a state of its own
class Smoothed(Base):
    def advance(self, ids, state=None):
        seen = ids if state is None else torch.cat([state, ids], dim=1)[:, -self.order :]
        return self.log_probs(seen)[:, -1], seen


@right  # one long dictionary, and histories that do not end at END
class Smoothed(LanguageModel):
    def __init__(self, *sizes):
        self.vocabulary_size, _ = sizes

    def fit(self, ids):
        self.table, self.cache = defaultdict(Counter), {}
        for i in range(1, len(ids)):
            for n in range(min(i, 9) + 1):
                self.table[tuple(ids[i - n : i])][ids[i]] += 1
        return self

    def log_probs(self, ids):
        out = np.zeros((*ids.shape, self.vocabulary_size))
        for place in np.ndindex(*ids.shape):
            history = tuple(ids[place[0], max(0, place[1] - 8) : place[1] + 1].tolist())
            if history not in self.cache:
                p = np.full(self.vocabulary_size, 1 / self.vocabulary_size)
                for n in range(len(history) + 1):
                    row = self.table.get(history[len(history) - n :], {})
                    p = absolute(row, p, 0.8)
                self.cache[history] = p
            out[place] = np.log(self.cache[history])
        return torch.tensor(out)


@wrong("not one of minigpt.ngram")
class Smoothed(KneserNey):
    def __init__(self, vocabulary_size, end_of_text):
        super().__init__(vocabulary_size, 9, end_of_text)


@wrong("must be a LanguageModel")
class Smoothed:
    def __init__(self, vocabulary_size, end_of_text):
        self.model = ModifiedKneserNey(vocabulary_size, 9, end_of_text)

    def fit(self, ids):
        self.model.fit(ids)

    def log_probs(self, ids):
        return self.model.log_probs(ids)


@wrong("bits per character; at most")  # histories that are too short
class Smoothed(Base):
    order = 4


@wrong("bits per character; at most")  # add-k
class Smoothed(Base):
    def after(self, history):
        row = self.counts.get(history, {})
        k = 0.01
        p = [(row.get(w, 0) + k) / (sum(row.values()) + k * self.vocabulary_size) for w in range(self.vocabulary_size)]
        return np.array(p)


@wrong("bits per character; at most")  # all alike
class Smoothed(Base):
    def log_probs(self, ids):
        return torch.full((*ids.shape, self.vocabulary_size), -math.log(self.vocabulary_size))


@wrong("some token has no probability")  # maximum likelihood
class Smoothed(Base):
    def mix(self, following, lower):
        p = np.zeros(len(lower))
        for token, number in following.items():
            p[token] = number / sum(following.values())
        return p if following else lower

    def log_probs(self, ids):
        with np.errstate(divide="ignore"):
            return super().log_probs(ids)


@wrong("those look like probabilities")
class Smoothed(Base):
    def log_probs(self, ids):
        return super().log_probs(ids).exp()


@wrong("probabilities add up to")  # the counts are not discounted
class Smoothed(Base):
    def mix(self, following, lower):
        p = 0.5 * lower
        for token, number in following.items():
            p[token] += 0.4 * number / sum(following.values())
        return p


@wrong("must give a tensor (B, T, V)")  # of the last token alone
class Smoothed(Base):
    def log_probs(self, ids):
        return super().log_probs(ids)[:, -1]


@wrong("must give a tensor (B, T, V)")  # a list
class Smoothed(Base):
    def log_probs(self, ids):
        return super().log_probs(ids).tolist()


@wrong("another answer the second time")  # learns from what it is asked
class Smoothed(Base):
    def log_probs(self, ids):
        found = super().log_probs(ids)
        for row in ids.tolist():
            for i in range(1, len(row)):
                followers = self.counts.setdefault(self.history(row, i - 1), {})
                followers[row[i]] = followers.get(row[i], 0) + 1
        self.known = {}
        return found


@wrong("when it is alone")  # one history for all rows
class Smoothed(Base):
    def log_probs(self, ids):
        return super().log_probs(ids[:1].expand_as(ids))


@wrong("depends on later tokens")  # mixed with what is in the row
class Smoothed(Base):
    def log_probs(self, ids):
        ones = torch.nn.functional.one_hot(ids, self.vocabulary_size).double().mean(dim=1, keepdim=True)
        return (0.9 * super().log_probs(ids).exp() + 0.1 * ones).log()


@wrong("bits per character; at most")  # one place late
class Smoothed(Base):
    def log_probs(self, ids):
        return super().log_probs(ids.roll(1, dims=1).index_fill(1, torch.tensor([0]), self.end_of_text))


@wrong("log_probs changes the tokens")
class Smoothed(Base):
    def log_probs(self, ids):
        found = super().log_probs(ids)
        ids[ids == self.end_of_text] = 0
        return found


@wrong("your code stopped with")  # nothing was learned
class Smoothed(Base):
    def fit(self, ids):
        pass
