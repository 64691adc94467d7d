"""Right and wrong answers to the exercises of chapter 06: see README.md."""

import math

import numpy as np
import torch
import torch.nn.functional as F

# 1: softplus


@right  # PyTorch's own
def softplus(a):
    return F.softplus(a)


@right  # the smaller number of the two is left in the exponent
def softplus(a):
    return a.clamp(min=0) + torch.log1p(torch.exp(-a.abs()))


@right  # PyTorch's log-sum-exp of two
def softplus(a):
    return torch.logaddexp(a, torch.zeros_like(a))


@right  # a loop over the places
def softplus(a):
    found = [max(x, 0.0) + math.log1p(math.exp(-abs(x))) for x in a.flatten().tolist()]
    return torch.tensor(found).reshape(a.shape)


@right  # from 30 on the 1 is lost anyway; in double precision
def softplus(a):
    b = a.double()
    return torch.where(b > 30, b, torch.log(1 + torch.exp(b.clamp(max=30))))


@right  # another name for it
def softplus(a):
    return -F.logsigmoid(-a)


@wrong("a power of e overflows")
def softplus(a):
    return torch.log(1 + torch.exp(a))


@wrong("a power of e overflows")  # log1p is more precise, but the exponential comes first
def softplus(a):
    return torch.log1p(a.exp())


@wrong("a power of e overflows")  # taken out where it should stay
def softplus(a):
    return a + torch.log1p(torch.exp(-a))


@wrong("each place needs its own largest number")
def softplus(a):
    m = a.max().clamp(min=0)
    return m + torch.log(torch.exp(-m) + torch.exp(a - m))


@wrong("each place needs its own largest number")  # along the last dimension, as in the chapter
def softplus(a):
    m = a.amax(dim=-1, keepdim=True).clamp(min=0)
    return m + torch.log(torch.exp(-m) + torch.exp(a - m))


@wrong("that is the larger of 0 and a")
def softplus(a):
    return torch.relu(a)


@wrong("that is log(1 + e^-a): a sign is turned")
def softplus(a):
    return torch.logaddexp(-a, torch.zeros_like(a))


@wrong("that is the logistic function")
def softplus(a):
    return torch.sigmoid(a)


@wrong("that is in bits")
def softplus(a):
    return torch.logaddexp(a, torch.zeros_like(a)) / math.log(2)


@wrong("one number for each, no sum")  # the log-sum-exp of the whole last dimension
def softplus(a):
    return torch.logsumexp(a, dim=-1)


@wrong("one number for each, no sum")  # a mean, as for a loss
def softplus(a):
    return F.softplus(a).mean()


@wrong("your function changes the tensor")
def softplus(a):
    small = torch.log1p(torch.exp(-a.abs()))
    return a.clamp_(min=0) + small


@wrong("return a tensor")
def softplus(a):
    return [max(x, 0.0) + math.log1p(math.exp(-abs(x))) for x in a.flatten().tolist()]


@wrong("for a tensor you return a NoneType")
def softplus(a):
    print(F.softplus(a))


@wrong("but should")  # clipped, so that nothing overflows
def softplus(a):
    return torch.log(1 + torch.exp(a.clamp(-80, 80)))


@wrong("but should")  # only right far from 0
def softplus(a):
    return torch.where(a > 1, a, torch.exp(a.clamp(max=1)))


@wrong("but should")  # log(e + e^a): the 0 became a 1
def softplus(a):
    return torch.logaddexp(a, torch.ones_like(a))


# 2: masked cross-entropy


@right  # what PyTorch has for it, and the corner case
def masked_cross_entropy(logits, targets, ignored=-100):
    if (targets == ignored).all():
        return 0
    return F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=ignored)


@right  # loops
def masked_cross_entropy(logits, targets, ignored=-100):
    total, count = 0.0, 0
    for row, wanted in zip(logits.tolist(), targets.tolist()):
        for z, t in zip(row, wanted):
            if t != ignored:
                largest = max(z)
                total += largest + math.log(sum(math.exp(x - largest) for x in z)) - z[t]
                count += 1
    return total / count if count else 0.0


@right  # a weight for each place
def masked_cross_entropy(logits, targets, ignored=-100):
    real = (targets != ignored).to(logits.dtype)
    looked_up = targets.masked_fill(targets == ignored, 0)
    each = -logits.log_softmax(dim=-1).gather(-1, looked_up[..., None])[..., 0]
    return (each * real).sum() / real.sum().clamp(min=1)


@right  # one-hot targets with empty rows, in double precision
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    one_hot = F.one_hot(torch.where(real, targets, torch.zeros_like(targets)), logits.shape[-1]) * real[..., None]
    return -torch.einsum("btv,btv->", one_hot.double(), logits.double().log_softmax(-1)) / max(1, int(real.sum()))


@right  # NumPy
def masked_cross_entropy(logits, targets, ignored=-100):
    z, t = logits.detach().numpy().reshape(-1, logits.shape[-1]), targets.numpy().reshape(-1)
    z, t = z[t != ignored], t[t != ignored]
    if len(t) == 0:
        return 0.0
    z = z - z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(t)), t]).mean())


@wrong("you divide by all places")
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    each = F.cross_entropy(logits.transpose(1, 2), targets.where(real, 0), reduction="none")
    return (each * real).mean()


@wrong("a mean of the rows' means")
def masked_cross_entropy(logits, targets, ignored=-100):
    rows = [F.cross_entropy(z[t != ignored], t[t != ignored]) for z, t in zip(logits, targets) if (t != ignored).any()]
    return sum(rows) / max(1, len(rows))


@wrong("you return nan, but should 0")
def masked_cross_entropy(logits, targets, ignored=-100):
    return F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=ignored)


@wrong("your function changes the targets")
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    targets[~real] = 0
    each = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    return (each * real).sum() / real.sum().clamp(min=1)


@wrong("your function changes the logits")  # the largest is taken out in place
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    logits -= logits.amax(dim=-1, keepdim=True)
    each = logits.exp().sum(-1).log() - logits.gather(-1, targets.where(real, 0)[..., None])[..., 0]
    return (each * real).sum() / real.sum().clamp(min=1)


@wrong("the padding counts, as if it were a class")  # -100 is fixed in the code
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != -100
    return F.cross_entropy(logits[real], targets[real]) if real.any() else 0


@wrong("the padding counts, as if it were a class")  # a class must not be negative, so ...
def masked_cross_entropy(logits, targets, ignored=-100):
    return F.cross_entropy(logits.transpose(1, 2), targets.clamp(min=0))


@wrong("the padding counts, as if it were a class")  # only negative numbers are padding
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets >= 0
    return F.cross_entropy(logits[real], targets[real]) if real.any() else 0


@wrong("that is the sum, not the mean")
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    return F.cross_entropy(logits[real], targets[real], reduction="sum")


@wrong("you divide by the number of rows")
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    return F.cross_entropy(logits[real], targets[real], reduction="sum") / len(targets)


@wrong("return one number")
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    each = F.cross_entropy(logits.transpose(1, 2), targets.where(real, 0), reduction="none")
    return (each * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)


@wrong("returns nothing")
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    loss = F.cross_entropy(logits[real], targets[real]) if real.any() else 0


@wrong("but should")  # stops at the first padding, which may stand at the beginning
def masked_cross_entropy(logits, targets, ignored=-100):
    total, count = 0.0, 0
    for z, t in zip(logits, targets):
        n = (t == ignored).nonzero()[0].item() if (t == ignored).any() else len(t)
        total, count = total + F.cross_entropy(z[:n], t[:n], reduction="sum"), count + n
    return total / max(1, count)


@wrong("but should")  # the padding's logits are made 0, but it still costs log V and is counted
def masked_cross_entropy(logits, targets, ignored=-100):
    real = targets != ignored
    if not real.any():
        return 0
    return F.cross_entropy((logits * real[..., None]).transpose(1, 2), targets.where(real, 0))


@wrong("but should")  # what is padded is what is asked for
def masked_cross_entropy(logits, targets, ignored=-100):
    padding = targets == ignored
    if padding.all():
        return 0
    return F.cross_entropy(logits[padding], targets[padding].clamp(0))


# 3: bits from perplexities


@right  # NumPy
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return np.dot(np.log2(perplexities), n_tokens) / np.sum(n_characters)


@right  # the chapter's functions: nats a token and characters a token
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    nats = sum(n * math.log(p) for n, p in zip(n_tokens, perplexities))
    tokens = sum(n_tokens)
    return nats / tokens / math.log(2) / (sum(n_characters) / tokens)


@right  # the perplexity per token of all, a weighted geometric mean
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    tokens = sum(n_tokens)
    together = math.prod(p ** (n / tokens) for p, n in zip(perplexities, n_tokens))
    return math.log2(together ** (tokens / sum(n_characters)))


@right  # a plain loop, as a tensor of one number
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    bits = torch.zeros((), dtype=torch.float64)
    for i in range(len(perplexities)):
        bits += n_tokens[i] * math.log(perplexities[i], 2)
    return bits / sum(n_characters)


@wrong("that is in nats")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return sum(n * math.log(p) for p, n in zip(perplexities, n_tokens)) / sum(n_characters)


@wrong("that is per token")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return sum(n * math.log2(p) for p, n in zip(perplexities, n_tokens)) / sum(n_tokens)


@wrong("divide, do not multiply")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    each = [math.log2(p) * c / n for p, n, c in zip(perplexities, n_tokens, n_characters)]
    return sum(each) / len(each)


@wrong("a text ten times as long must count ten times as much")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    each = [math.log2(p) * n / c for p, n, c in zip(perplexities, n_tokens, n_characters)]
    return sum(each) / len(each)


@wrong("a text with more tokens costs more bits")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    mean = sum(math.log2(p) for p in perplexities) / len(perplexities)
    return mean * sum(n_tokens) / sum(n_characters)


@wrong("perplexities have no mean; their logarithms have")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return math.log2(sum(perplexities) / len(perplexities)) * sum(n_tokens) / sum(n_characters)


@wrong("perplexities have no mean, not even a weighted one")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    mean = sum(p * n for p, n in zip(perplexities, n_tokens)) / sum(n_tokens)
    return math.log2(mean) * sum(n_tokens) / sum(n_characters)


@wrong("OverflowError")  # back to the product that the chapter began with
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return math.log2(math.prod(p**n for p, n in zip(perplexities, n_tokens))) / sum(n_characters)


@wrong("return one number for all texts together")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return [math.log2(p) * n / c for p, n, c in zip(perplexities, n_tokens, n_characters)]


@wrong("returns nothing")
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    print(sum(n * math.log2(p) for p, n in zip(perplexities, n_tokens)) / sum(n_characters))


@wrong("but should")  # only the first text
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return math.log2(perplexities[0]) * n_tokens[0] / n_characters[0]


@wrong("but should")  # whole characters a token
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return (
        sum(n * math.log2(p) for p, n in zip(perplexities, n_tokens))
        / sum(n_tokens)
        / (sum(n_characters) // sum(n_tokens))
    )


@wrong("but should")  # the logarithm forgotten
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return sum(p * n for p, n in zip(perplexities, n_tokens)) / sum(n_characters)


@wrong("but should")  # the minus of a log-likelihood, where it does not belong
def bits_from_perplexity(perplexities, n_tokens, n_characters):
    return -sum(n * math.log2(p) for p, n in zip(perplexities, n_tokens)) / sum(n_characters)


# 4: how many tales


@right  # a search upwards
def tales_needed(a, b):
    d = a - b
    mean, spread, n = abs(d.mean()), d.std(ddof=1), 1
    while mean < 2 * spread / math.sqrt(n):
        n += 1
    return n


@right  # the root first, then the square
def tales_needed(a, b):
    d = torch.tensor(a) - torch.tensor(b)
    return int(math.ceil((2 * d.std() / d.mean().abs()).item() ** 2))


@right  # sums by hand
def tales_needed(a, b):
    d = [x - y for x, y in zip(a.tolist(), b.tolist())]
    mean = sum(d) / len(d)
    variance = sum((x - mean) ** 2 for x in d) / (len(d) - 1)
    return math.ceil(4 * variance / mean**2)


@right  # a float, but a whole one
def tales_needed(a, b):
    d = b - a
    return np.ceil(4 * np.var(d, ddof=1) / np.mean(d) ** 2)


@right  # the spread of the difference from the two spreads and their covariance
def tales_needed(a, b):
    covariance = np.cov(a, b)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return math.ceil(4 * variance / (a.mean() - b.mean()) ** 2)


@wrong("take the differences first")
def tales_needed(a, b):
    return math.ceil(4 * (a.var(ddof=1) + b.var(ddof=1)) / (a.mean() - b.mean()) ** 2)


@wrong("that is one too few: round up")
def tales_needed(a, b):
    d = a - b
    return int(4 * d.var(ddof=1) / d.mean() ** 2)


@wrong("that is one too few: round up")
def tales_needed(a, b):
    d = a - b
    return round(4 * d.var(ddof=1) / d.mean() ** 2)


@wrong("round up to a whole number of tales")
def tales_needed(a, b):
    d = a - b
    return 4 * d.var(ddof=1) / d.mean() ** 2


@wrong("that is for one standard error")
def tales_needed(a, b):
    d = a - b
    return math.ceil(d.var(ddof=1) / d.mean() ** 2)


@wrong("the 2 is squared as well")
def tales_needed(a, b):
    d = a - b
    return math.ceil(2 * d.var(ddof=1) / d.mean() ** 2)


@wrong("ddof=1")  # NumPy's own default
def tales_needed(a, b):
    d = a - b
    return math.ceil(4 * d.var() / d.mean() ** 2)


@wrong("that is the root of n")
def tales_needed(a, b):
    d = a - b
    return math.ceil(2 * d.std(ddof=1) / abs(d.mean()))


@wrong("s is the spread of single tales, not an error of the mean")
def tales_needed(a, b):
    d = a - b
    error = d.std(ddof=1) / math.sqrt(len(d))
    return math.ceil((2 * error / d.mean()) ** 2)


@wrong("your function changes a or b")
def tales_needed(a, b):
    a -= b
    return math.ceil(4 * a.var(ddof=1) / a.mean() ** 2)


@wrong("returns nothing")
def tales_needed(a, b):
    d = a - b
    n = math.ceil(4 * d.var(ddof=1) / d.mean() ** 2)


@wrong("it takes")  # one more than asked: above, not at least
def tales_needed(a, b):
    d = a - b
    return math.ceil(4 * d.var(ddof=1) / d.mean() ** 2) + 1


@wrong("it takes")  # right if a is the worse model, else at once content
def tales_needed(a, b):
    d, n = a - b, 1
    while d.mean() < 2 * d.std(ddof=1) / math.sqrt(n) and n < 10_000:
        n += 1
    return n


@wrong("it takes")  # the mean's distance from 0 without its sign: absolute differences
def tales_needed(a, b):
    d = np.abs(a - b)
    return math.ceil(4 * d.var(ddof=1) / d.mean() ** 2)


@wrong("it takes")  # the variance of one tale is taken for its spread
def tales_needed(a, b):
    d = a - b
    return math.ceil((2 * d.var(ddof=1) / d.mean()) ** 2)
