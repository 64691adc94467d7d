"""Right and wrong answers to the exercises of chapter 13."""

import math

import numpy as np
import torch

# 1: how far windows see


@right  # which tokens, layer by layer
def seen(windows, T):
    reached = {T - 1}
    for window in reversed(windows):
        reached = {s for t in reached for s in range(0 if window == 0 else max(0, t - window + 1), t + 1)}
    return len(reached)


@right  # from one layer to the next
def seen(windows, T):
    if not windows:
        return 1
    *below, top = windows
    return T if top == 0 else min(T, top - 1 + seen(below, T))


@right  # masks, and a number of NumPy's
def seen(windows, T):
    distance = np.arange(T)[:, None] - np.arange(T)
    reached = np.arange(T) == T - 1
    for window in windows[::-1]:
        reached = reached @ ((distance >= 0) & (distance < (window or T)))
    return reached.sum()


@right  # a function without a name
def seen(*given):
    return (lambda windows, T: min(T, sum((window or T) - 1 for window in windows) + 1))(*given)


@right  # a tensor
def seen(windows, T):
    windows = torch.tensor(windows)
    return torch.where(windows == 0, T, windows).sub(1).sum().add(1).clamp(max=T)


@wrong("there are no more than T tokens")
def seen(windows, T):
    return T if 0 in windows else 1 + sum(window - 1 for window in windows)


@wrong("0 means all")  # a layer that sees all is passed over
def seen(windows, T):
    return min(T, 1 + sum(window - 1 for window in windows if window))


@wrong("0 means all")  # takes the formula for 0, too
def seen(windows, T):
    return min(T, 1 + sum(window - 1 for window in windows))


@wrong("each window holds its own token")
def seen(windows, T):
    return T if 0 in windows else min(T, sum(windows))


@wrong("what a layer reads has read, too")
def seen(windows, T):
    return T if 0 in windows else min(T, max(windows))


@wrong("the last token itself counts, too")
def seen(windows, T):
    return T if 0 in windows else min(T, sum(window - 1 for window in windows))


@wrong("your function changes the list")
def seen(windows, T):
    count = 1
    while windows:
        count += (windows.pop() or T) - 1
    return min(T, count)


@wrong("must be a whole number, and not None")
def seen(windows, T):
    print(T if 0 in windows else min(T, 1 + sum(window - 1 for window in windows)))


@wrong("must be a whole number, and not [")  # which tokens, but not how many
def seen(windows, T):
    count = T if 0 in windows else min(T, 1 + sum(window - 1 for window in windows))
    return list(range(T - count, T))


@wrong("but it is")  # windows do not multiply
def seen(windows, T):
    return T if 0 in windows else min(T, math.prod(windows))


@wrong("but it is")  # a window without the token itself
def seen(windows, T):
    return T if 0 in windows else min(T, 1 + sum(windows))


# 2: unscaled scores, in weights


@right  # the keys instead
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    new = weight.clone()
    new[D : 2 * D] *= (D / n_heads) ** 0.5
    return new


@right  # half of it each
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    factor = (D / n_heads) ** 0.25
    return weight * torch.tensor([factor] * (2 * D) + [1.0] * D)[:, None]


@right  # row by row, in float64
def for_scaled_scores(weight, n_heads):
    D = len(weight) // 3
    width = D // n_heads
    return torch.stack([row.double() * (math.sqrt(width) if n < D else 1) for n, row in enumerate(weight)])


@right  # a diagonal matrix
def for_scaled_scores(weight, n_heads, power=0.5):
    D = weight.shape[1]
    scale = torch.ones(3 * D)
    scale[:D] = (D // n_heads) ** power
    return scale.diag() @ weight


@wrong("(nothing was done)")
def for_scaled_scores(weight, n_heads):
    return weight.clone()


@wrong("(the wrong way round)")
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    new = weight.clone()
    new[:D] /= math.sqrt(D / n_heads)
    return new


@wrong("(the root of d comes in twice)")  # queries and keys
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    new = weight.clone()
    new[: 2 * D] *= math.sqrt(D / n_heads)
    return new


@wrong("(the root of d comes in twice)")  # the root forgotten
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    new = weight.clone()
    new[:D] *= D // n_heads
    return new


@wrong("(the root of D, but a head is D / H wide)")
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    new = weight.clone()
    new[:D] *= math.sqrt(D)
    return new


@wrong("the given matrix has changed")
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    weight[:D] *= math.sqrt(D / n_heads)
    return weight


@wrong("the values change")  # all three
def for_scaled_scores(weight, n_heads):
    return weight * (weight.shape[1] / n_heads) ** 0.25


@wrong("the values change")  # columns for rows
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    new = weight.clone()
    new[:, :D] *= math.sqrt(D / n_heads)
    return new


@wrong("the values change")  # as if queries, keys and values of a head lay together
def for_scaled_scores(weight, n_heads):
    width = weight.shape[1] // n_heads
    new = weight.clone().view(n_heads, 3, width, -1)
    new[:, 0] *= math.sqrt(width)
    return new.view_as(weight)


@wrong("must be a tensor of shape")  # the queries alone
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    return weight[:D] * math.sqrt(D / n_heads)


@wrong("and not None")
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    new = weight.clone()
    new[:D] *= math.sqrt(D / n_heads)


@wrong("the scores of head 1")  # one head only
def for_scaled_scores(weight, n_heads):
    width = weight.shape[1] // n_heads
    new = weight.clone()
    new[:width] *= math.sqrt(width)
    return new


@wrong("(d is a head's width)")  # the number of heads for their width
def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    new = weight.clone()
    new[:D] *= math.sqrt(n_heads)
    return new


# 3: weaving pairs


@right  # row by row
def weave(weight, n_heads, turned):
    width, rows = len(weight) // n_heads, []
    for first in range(0, len(weight), width):
        for i in range(turned // 2):
            rows += [weight[first + i], weight[first + i + turned // 2]]
        rows += [weight[first + i] for i in range(turned, width)]
    return torch.stack(rows)


@right  # an order of rows
def weave(weight, n_heads, turned):
    width = len(weight) // n_heads
    order = torch.arange(width)
    order[:turned] = torch.arange(turned).view(2, -1).T.flatten()
    return weight.view(n_heads, width, -1)[:, order].flatten(0, 1)


@right  # the inverse of an order
def weave(weight, n_heads, turned):
    width = len(weight) // n_heads
    theirs = [*range(0, turned, 2), *range(1, turned, 2), *range(turned, width)]
    return torch.cat([head[np.argsort(theirs)] for head in weight.split(width)])


@right  # unweaving until the rows are back
def weave(weight, n_heads, turned):
    width = len(weight) // n_heads
    order = [*range(0, turned, 2), *range(1, turned, 2), *range(turned, width)]
    rows, new = [head * width + i for head in range(n_heads) for i in order], weight
    while not torch.equal(new[rows], weight):
        new = new[rows]
    return new.clone()


@right  # writing into places
def weave(weight, n_heads, turned):
    new, width, n = torch.empty_like(weight), weight.size(0) // n_heads, turned // 2
    for row in range(weight.size(0)):
        head, i = divmod(row, width)
        place = i if i >= turned else 2 * i if i < n else 2 * (i - n) + 1
        new[head * width + place] = weight[row]
    return new


@wrong("that is unweave once more")
def weave(weight, n_heads, turned):
    order = torch.arange(len(weight) // n_heads)
    order[:turned] = torch.cat([order[:turned][0::2], order[:turned][1::2]])
    return weight.view(n_heads, len(order), -1)[:, order].flatten(0, 1)


@wrong("do not turn, and must stay")  # all of a head
def weave(weight, n_heads, turned):
    width = len(weight) // n_heads
    order = torch.arange(width).view(2, -1).T.flatten()
    return weight.view(n_heads, width, -1)[:, order].flatten(0, 1)


@wrong("rows have gone into other heads")  # the whole matrix at once
def weave(weight, n_heads, turned):
    return weight[torch.arange(len(weight)).view(2, -1).T.flatten()]


@wrong("the first head is right, the others are not")
def weave(weight, n_heads, turned):
    order = torch.arange(len(weight))
    order[:turned] = torch.arange(turned).view(2, -1).T.flatten()
    return weight[order]


@wrong("the rows are where they were")
def weave(weight, n_heads, turned):
    return weight.clone()


@wrong("is no row of the given matrix")  # columns for rows
def weave(weight, n_heads, turned):
    return weight[:, [0, 2, 1, 3, 4]]


@wrong("is no row of the given matrix")  # turns, too
def weave(weight, n_heads, turned):
    width = len(weight) // n_heads
    order = torch.arange(width)
    order[:turned] = torch.arange(turned).view(2, -1).T.flatten()
    new = weight.view(n_heads, width, -1)[:, order]
    new[:, 1:turned:2] *= -1
    return new.flatten(0, 1)


@wrong("the given matrix has changed")
def weave(weight, n_heads, turned):
    heads = weight.view(n_heads, len(weight) // n_heads, -1)
    heads[:, :turned] = heads[:, :turned].unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2).clone()
    return weight


@wrong("the first head takes our rows")  # second members first
def weave(weight, n_heads, turned):
    width = len(weight) // n_heads
    order = torch.arange(width)
    order[:turned] = torch.arange(turned).view(2, -1).flip(0).T.flatten()
    return weight.view(n_heads, width, -1)[:, order].flatten(0, 1)


@wrong("the first head takes our rows")  # pairs from both ends
def weave(weight, n_heads, turned):
    width = len(weight) // n_heads
    order = [i // 2 if i % 2 == 0 else turned - 1 - i // 2 for i in range(turned)] + [*range(turned, width)]
    return weight.view(n_heads, width, -1)[:, order].flatten(0, 1)


@wrong("the result must be a tensor of shape")  # heads left apart
def weave(weight, n_heads, turned):
    width = len(weight) // n_heads
    order = torch.arange(width)
    order[:turned] = torch.arange(turned).view(2, -1).T.flatten()
    return weight.view(n_heads, width, -1)[:, order]


@wrong("the result must be a tensor of shape")  # what does not turn is lost
def weave(weight, n_heads, turned):
    heads = weight.view(n_heads, len(weight) // n_heads, -1)[:, :turned]
    return heads.unflatten(1, (2, -1)).transpose(1, 2).flatten(0, 2)


# 4: what a control code saves


@right  # a loop, with the largest taken out
def bits_saved(log_probs, codes):
    saved = []
    for row, code in zip(log_probs.tolist(), codes.tolist()):
        largest = max(row)
        mean = sum(math.exp(value - largest) for value in row) / len(row)
        saved.append(row[code] - largest - math.log(mean))
    return sum(saved) / len(saved) / math.log(2)


@right  # Bayes: the probability of the code, given the text
def bits_saved(log_probs, codes):
    of_codes = torch.log_softmax(log_probs, dim=1)
    return (of_codes[range(len(codes)), codes].mean() + math.log(log_probs.shape[1])) / math.log(2)


@right  # PyTorch's cross-entropy
def bits_saved(log_probs, codes):
    lost = torch.nn.functional.cross_entropy(log_probs, codes)
    return math.log2(log_probs.shape[1]) - lost.item() / math.log(2)


@right  # NumPy, with logarithms to the base 2
def bits_saved(log_probs, codes):
    bits = log_probs.numpy() / np.log(2)
    untold = np.logaddexp2.reduce(bits, axis=1) - np.log2(bits.shape[1])
    return np.mean(bits[np.arange(len(bits)), codes.numpy()] - untold)


@right  # float32 will do
def bits_saved(log_probs, codes):
    log_probs = (log_probs - log_probs.mean(dim=1, keepdim=True)).float()
    untold = log_probs.logsumexp(dim=1) - math.log(log_probs.shape[1])
    return float((log_probs[torch.arange(len(codes)), codes] - untold).mean() / math.log(2))


@wrong("such probabilities underflow")
def bits_saved(log_probs, codes):
    told = log_probs.exp()[torch.arange(len(codes)), codes]
    return torch.log2(told / log_probs.exp().mean(dim=1)).mean().item()


@wrong("that is in nats, not in bits")
def bits_saved(log_probs, codes):
    told = log_probs[torch.arange(len(codes)), codes]
    return (told - log_probs.logsumexp(dim=1)).mean().item() + math.log(log_probs.shape[1])


@wrong("the sign is turned round")
def bits_saved(log_probs, codes):
    lost = torch.nn.functional.cross_entropy(log_probs, codes)
    return lost.item() / math.log(2) - math.log2(log_probs.shape[1])


@wrong("the sum over documents, not their mean")
def bits_saved(log_probs, codes):
    told = log_probs[torch.arange(len(codes)), codes]
    untold = log_probs.logsumexp(dim=1) - math.log(log_probs.shape[1])
    return (told - untold).sum().item() / math.log(2)


@wrong("1 / K is missing")
def bits_saved(log_probs, codes):
    return -torch.nn.functional.cross_entropy(log_probs, codes).item() / math.log(2)


@wrong("the best code of each document, not its own")
def bits_saved(log_probs, codes):
    untold = log_probs.logsumexp(dim=1) - math.log(log_probs.shape[1])
    return (log_probs.max(dim=1).values - untold).mean().item() / math.log(2)


@wrong("the result must be one number")  # a number a document
def bits_saved(log_probs, codes):
    told = log_probs[torch.arange(len(codes)), codes]
    return (told - log_probs.logsumexp(dim=1) + math.log(log_probs.shape[1])) / math.log(2)


@wrong("and not None")
def bits_saved(log_probs, codes):
    print(math.log2(log_probs.shape[1]) - torch.nn.functional.cross_entropy(log_probs, codes).item() / math.log(2))


@wrong("log of a mean?")  # the mean of logarithms
def bits_saved(log_probs, codes):
    told = log_probs[torch.arange(len(codes)), codes]
    return (told - log_probs.mean(dim=1)).mean().item() / math.log(2)


@wrong("your function changes its input")
def bits_saved(log_probs, codes):
    log_probs -= log_probs.max()
    return math.log2(log_probs.shape[1]) - torch.nn.functional.cross_entropy(log_probs, codes).item() / math.log(2)


@wrong("your code stopped with")  # the wrong axis
def bits_saved(log_probs, codes):
    told = log_probs[torch.arange(len(codes)), codes]
    return (told - log_probs.logsumexp(dim=0)).mean().item() / math.log(2) + math.log2(log_probs.shape[1])


@wrong("bits, not")  # what it can save at most
def bits_saved(log_probs, codes):
    return math.log2(log_probs.shape[1])
