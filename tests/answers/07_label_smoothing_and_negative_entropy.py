"""Right and wrong answers to the exercises of chapter 07: see README.md."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from minigpt.losses import cross_entropy, entropy, log_softmax, smooth


def distribution(values):
    positive = values.clamp(min=0)
    return positive / positive.sum(dim=-1, keepdim=True)


# 1: epsilon for a confidence


@right  # the same, with another fraction
def epsilon_for(confidence, n_classes):
    return (1 - confidence) / (1 - 1 / n_classes)


@right  # as a tensor of one number
def epsilon_for(confidence, n_classes):
    return torch.tensor(n_classes * (1 - confidence), dtype=torch.float64) / (n_classes - 1)


@right  # the label's share is what is left of it without the uniform part
def epsilon_for(confidence, n_classes):
    others = 1 - confidence
    each = others / (n_classes - 1)
    return each * n_classes


@right  # found by halving, with the chapter's function
def epsilon_for(confidence, n_classes):
    low, high = 0.0, 1 - 1e-12
    one_hot = torch.eye(n_classes, dtype=torch.float64)[0]
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if smooth(one_hot, middle)[0] > confidence else (low, middle)
    return low


@wrong("the label gets a share of the uniform part, too")
def epsilon_for(confidence, n_classes):
    return 1 - confidence


@wrong("that is what each other class is left")
def epsilon_for(confidence, n_classes):
    return (1 - confidence) / (n_classes - 1)


@wrong("V / (V - 1) became (V - 1) / V")
def epsilon_for(confidence, n_classes):
    return (1 - confidence) * (n_classes - 1) / n_classes


@wrong("that is the share of the label, not of the uniform")
def epsilon_for(confidence, n_classes):
    return (confidence * n_classes - 1) / (n_classes - 1)


@wrong("which leaves the label")  # shared among V classes once more
def epsilon_for(confidence, n_classes):
    return (1 - confidence) / n_classes


@wrong("which leaves the label")  # integer division
def epsilon_for(confidence, n_classes):
    return (1 - confidence) * (n_classes // (n_classes - 1))


@wrong("which leaves the label")  # right for two classes only
def epsilon_for(confidence, n_classes):
    return 2 * (1 - confidence)


@wrong("which leaves the label")  # rounded
def epsilon_for(confidence, n_classes):
    return round((1 - confidence) * n_classes / (n_classes - 1), 2)


@wrong("which leaves the label")  # the uniform part of the label is added, not taken off
def epsilon_for(confidence, n_classes):
    return (1 - confidence) * n_classes / (n_classes + 1)


@wrong("but epsilon is 0 or more and below 1")  # the sign
def epsilon_for(confidence, n_classes):
    return (confidence - 1) * n_classes / (n_classes - 1)


@wrong("return one number")  # the whole target
def epsilon_for(confidence, n_classes):
    epsilon = (1 - confidence) * n_classes / (n_classes - 1)
    return smooth(torch.eye(n_classes)[0], epsilon)


@wrong("returns nothing")
def epsilon_for(confidence, n_classes):
    print((1 - confidence) * n_classes / (n_classes - 1))


# 2: smoothing to the unigram


@right  # two cross-entropies
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    log_p = log_softmax(logits)
    label = log_p.gather(-1, targets[..., None])[..., 0].mean()
    return -(1 - epsilon) * label - epsilon * (log_p @ unigram).mean()


@right  # PyTorch's, with distributions for targets
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(0, -2))


@right  # the chapter's cross-entropy, in double precision
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]).double() + epsilon * unigram.double()
    return cross_entropy(logits.double(), labels / labels.sum(-1, keepdim=True))


@right  # loops
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    total, spread = 0.0, unigram.tolist()
    rows = logits.reshape(-1, logits.shape[-1]).tolist()
    for z, label in zip(rows, targets.flatten().tolist()):
        log_sum = max(z) + math.log(sum(math.exp(x - max(z)) for x in z))
        for k in range(len(z)):
            total -= ((1 - epsilon) * (k == label) + epsilon * spread[k]) * (z[k] - log_sum)
    return total / len(rows)


@right  # einsum, and a row of the identity for each label
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = torch.eye(logits.shape[-1])[targets].lerp(unigram.expand_as(logits), epsilon)
    return -torch.einsum("...v,...v->...", labels, logits.log_softmax(dim=-1)).mean()


@wrong("the unigram is not used")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), label_smoothing=epsilon)


@wrong("the unigram is not used")  # it is, but as a number of classes only
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, len(unigram)) + epsilon / len(unigram)
    return -(labels * log_softmax(logits)).sum(dim=-1).mean()


@wrong("epsilon and 1 - epsilon are swapped")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = epsilon * F.one_hot(targets, logits.shape[-1]) + (1 - epsilon) * unigram
    return -(labels * log_softmax(logits)).sum(dim=-1).mean()


@wrong("the label keeps only 1 - epsilon")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    return -(labels * log_softmax(logits)).sum(dim=-1).mean()


@wrong("the labels are mixed, not the predictions")  # as n-grams of chapter 04 were
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    mixed = (1 - epsilon) * logits.softmax(dim=-1) + epsilon * unigram
    return -mixed.gather(-1, targets[..., None]).log().mean()


@wrong("a sum over classes, not a mean")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    return -(labels * log_softmax(logits)).mean()


@wrong("that is the sum over the examples")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    return -(labels * log_softmax(logits)).sum()


@wrong("that is the divergence")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    return F.kl_div(log_softmax(logits), labels, reduction="none").sum(dim=-1).mean()


@wrong("never take the logarithm of the unigram's 0")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    backwards = -(logits.softmax(dim=-1) * unigram.log()).sum(dim=-1).mean()
    return (1 - epsilon) * cross_entropy(logits, targets) + epsilon * backwards


@wrong("never take the logarithm of the unigram's 0")  # a divergence by hand
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    gap = (unigram * (unigram.log() - log_softmax(logits))).sum(dim=-1).mean()
    return (1 - epsilon) * cross_entropy(logits, targets) + epsilon * gap


@wrong("one number, the mean over all examples")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    return -(labels * log_softmax(logits)).sum(dim=-1)


@wrong("your function changes its arguments")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    unigram *= epsilon
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + unigram
    return -(labels * log_softmax(logits)).sum(dim=-1).mean()


@wrong("you give")  # the wrong axis, which works for a matrix
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    return -(labels * logits.log_softmax(dim=0)).sum(dim=-1).mean()


@wrong("IndexError")  # a matrix only
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    log_p = log_softmax(logits)
    label = log_p[torch.arange(len(targets)), targets].mean()
    return -(1 - epsilon) * label - epsilon * (log_p @ unigram).mean()


@wrong("returns nothing")
def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    loss = -(labels * log_softmax(logits)).sum(dim=-1).mean()


# 3: undo the remedies


@right  # 1 - epsilon is the same factor for all
def undo_smoothing(p, epsilon):
    return distribution(p - epsilon / p.shape[-1])


@right  # row by row
def undo_smoothing(p, epsilon):
    rows = []
    for row in p.reshape(-1, p.shape[-1]).tolist():
        q = [max(0.0, (x - epsilon / len(row)) / (1 - epsilon)) for x in row]
        rows.append([x / sum(q) for x in q])
    return torch.tensor(rows, dtype=p.dtype).reshape(p.shape)


@right  # a mixture with a negative share
def undo_smoothing(p, epsilon):
    q = torch.lerp(torch.full_like(p, 1 / p.shape[-1]), p, 1 / (1 - epsilon))
    return F.normalize(torch.relu(q), p=1, dim=-1)


@right  # the entropy by hand
def undo_penalty(p, beta):
    H = -(p * torch.log(p)).sum(dim=-1, keepdim=True)
    q = torch.clip(p + beta * p * (torch.log(p) + H), min=0)
    return q / q.sum(dim=-1, keepdim=True)


@right  # with mu, and where instead of clamp
def undo_penalty(p, beta):
    mu = 1 + beta * torch.special.entr(p).sum(dim=-1)
    q = p * (beta * p.log() + mu.unsqueeze(-1))
    q = torch.where(q > 0, q, 0.0)
    return q / torch.einsum("...v->...", q)[..., None]


@right  # the nearest distribution in the squared distance
def undo_penalty(p, beta):
    q = p * (1 + beta * (p.log() + entropy(p.log())[..., None]))
    down = q.sort(dim=-1, descending=True).values
    over = (down.cumsum(dim=-1) - 1) / torch.arange(1, q.shape[-1] + 1)
    n = (down > over).sum(dim=-1, keepdim=True)
    return (q - over.gather(-1, n - 1)).clamp(min=0)


@wrong("p = (1 - epsilon) q + epsilon / V")  # epsilon is taken off each
def undo_smoothing(p, epsilon):
    return distribution((p - epsilon) / (1 - epsilon))


@wrong("p = (1 - epsilon) q + epsilon / V")  # the number of rows instead of V
def undo_smoothing(p, epsilon):
    return distribution((p - epsilon / len(p)) / (1 - epsilon))


@wrong("p = (1 - epsilon) q + epsilon / V")  # divided first
def undo_smoothing(p, epsilon):
    return distribution(p / (1 - epsilon) - epsilon / p.shape[-1])


@wrong("p = (1 - epsilon) q + epsilon / V")  # smoothed once more
def undo_smoothing(p, epsilon):
    return smooth(p, epsilon)


@wrong("p = (1 - epsilon) q + epsilon / V")  # made a distribution by a softmax
def undo_smoothing(p, epsilon):
    return ((p - epsilon / p.shape[-1]) / (1 - epsilon)).softmax(dim=-1)


@wrong("p = (1 - epsilon) q + epsilon / V")  # the sum over all rows
def undo_smoothing(p, epsilon):
    q = (p - epsilon / p.shape[-1]).clamp(min=0)
    return q / q.sum()


@wrong("is below 0")
def undo_smoothing(p, epsilon):
    return (p - epsilon / p.shape[-1]) / (1 - epsilon)


@wrong("not 1")
def undo_smoothing(p, epsilon):
    return ((p - epsilon / p.shape[-1]) / (1 - epsilon)).clamp(min=0)


@wrong("undo_smoothing changes the tensor")
def undo_smoothing(p, epsilon):
    p -= epsilon / p.shape[-1]
    return distribution(p)


@wrong("undo_smoothing should return a tensor, not a NoneType")
def undo_smoothing(p, epsilon):
    distribution((p - epsilon / p.shape[-1]) / (1 - epsilon))


@wrong("with the H of its own row")  # without the entropy
def undo_penalty(p, beta):
    return distribution(p * (1 + beta * p.log()))


@wrong("with the H of its own row")  # the sign of the entropy
def undo_penalty(p, beta):
    return distribution(p * (1 + beta * (p.log() - entropy(p.log())[..., None])))


@wrong("with the H of its own row")  # the entropy of all rows together
def undo_penalty(p, beta):
    H = -(p * p.log()).sum()
    return distribution(p * (1 + beta * (p.log() + H)))


@wrong("with the H of its own row")  # the mean entropy of the rows
def undo_penalty(p, beta):
    return distribution(p * (1 + beta * (p.log() + entropy(p.log()).mean())))


@wrong("with the H of its own row")  # beta with the wrong sign
def undo_penalty(p, beta):
    return distribution(p * (1 - beta * (p.log() + entropy(p.log())[..., None])))


@wrong("with the H of its own row")  # the 1 is lost
def undo_penalty(p, beta):
    return distribution(p * beta * (p.log() + entropy(p.log())[..., None]))


@wrong("RuntimeError")  # one row only: H has lost its dimension
def undo_penalty(p, beta):
    return distribution(p * (1 + beta * (p.log() + entropy(p.log()))))


@wrong("with the H of its own row")  # in bits
def undo_penalty(p, beta):
    H = -(p * p.log2()).sum(dim=-1, keepdim=True)
    return distribution(p * (1 + beta * (p.log2() + H)))


@wrong("undo_penalty, for a p that is no goal: -")
def undo_penalty(p, beta):
    return p * (1 + beta * (p.log() + entropy(p.log())[..., None]))


@wrong("undo_penalty, for a p that is no goal: the sum is")
def undo_penalty(p, beta):
    return (p * (1 + beta * (p.log() + entropy(p.log())[..., None]))).clamp(min=0)


# 4: the best epsilon


@right  # halving by the slope
def best_epsilon(counts, held_out_counts):
    f, low, high = counts / counts.sum(), 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        slope = -(held_out_counts * (1 / len(f) - f) / smooth(f, middle)).sum()
        low, high = (middle, high) if slope < 0 else (low, middle)
    return low


@right  # a grid in one go, and zeros that add nothing
def best_epsilon(counts, held_out_counts):
    grid = torch.arange(1000, dtype=torch.float64) / 1000
    q = (1 - grid[:, None]) * (counts / counts.sum()) + grid[:, None] / len(counts)
    return grid[torch.xlogy(held_out_counts, q).sum(dim=1).argmax()]


@right  # NumPy, and only the classes that are held out
def best_epsilon(counts, held_out_counts):
    c, h = counts.numpy(), held_out_counts.numpy()
    f = (c / c.sum())[h > 0]
    grid = np.linspace(0.0005, 0.9995, 1000)
    losses = [-(h[h > 0] * np.log((1 - e) * f + e / len(c))).sum() for e in grid]
    return float(grid[int(np.argmin(losses))])


@right  # thirds: the loss has one valley
def best_epsilon(counts, held_out_counts):
    f = (counts / counts.sum()).tolist()
    h = held_out_counts.tolist()

    def loss(e):
        return -sum(n * math.log((1 - e) * x + e / len(f)) for n, x in zip(h, f) if n)

    low, high = 1e-9, 1 - 1e-9
    while high - low > 1e-5:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return (low + high) / 2


@right  # expectation and maximisation: whose was each held-out label?
def best_epsilon(counts, held_out_counts):
    f, epsilon = counts / counts.sum(), 0.5
    for _ in range(5000):
        uniform = epsilon / len(f)
        shares = uniform / ((1 - epsilon) * f + uniform)
        epsilon = (held_out_counts * shares).sum().item() / held_out_counts.sum().item()
        if epsilon < 1e-6:
            break
    return epsilon


@wrong("tuning on the counts themselves")
def best_epsilon(counts, held_out_counts):
    f = counts / counts.sum()
    grid = torch.linspace(0, 0.999, 1000).tolist()
    losses = [-torch.xlogy(counts, smooth(f, e)).sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("0 times log 0")  # at epsilon 0 the loss is NaN, which `min` takes for the least
def best_epsilon(counts, held_out_counts):
    f = counts / counts.sum()
    grid = torch.linspace(0, 0.999, 1000).tolist()
    losses = [-(held_out_counts * smooth(f, e).log()).sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("that is 1 - epsilon")
def best_epsilon(counts, held_out_counts):
    f, uniform = counts / counts.sum(), 1 / len(counts)
    grid = torch.linspace(0.001, 1, 1000).tolist()
    losses = [-torch.xlogy(held_out_counts, share * f + (1 - share) * uniform).sum().item() for share in grid]
    return grid[losses.index(min(losses))]


@wrong("that is the k of add-k")
def best_epsilon(counts, held_out_counts):
    V, n = len(counts), counts.sum().item()
    f, low, high = counts / n, 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        slope = -(held_out_counts * (1 / V - f) / smooth(f, middle)).sum()
        low, high = (middle, high) if slope < 0 else (low, middle)
    return low * n / V / (1 - low)


@wrong("that is the least squared error")
def best_epsilon(counts, held_out_counts):
    f, h = counts / counts.sum(), held_out_counts / held_out_counts.sum()
    grid = torch.linspace(0, 0.9999, 10_000).tolist()
    losses = [(smooth(f, e) - h).square().sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("but the loss is least at")  # the greatest loss
def best_epsilon(counts, held_out_counts):
    f = counts / counts.sum()
    grid = torch.linspace(0.001, 0.999, 999).tolist()
    losses = [-torch.xlogy(held_out_counts, smooth(f, e)).sum().item() for e in grid]
    return grid[losses.index(max(losses))]


@wrong("but the loss is least at")  # steps of a hundredth
def best_epsilon(counts, held_out_counts):
    f = counts / counts.sum()
    grid = [e / 100 for e in range(100)]
    losses = [-torch.xlogy(held_out_counts, smooth(f, e)).sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("but the loss is least at")  # the number of the step, not the epsilon
def best_epsilon(counts, held_out_counts):
    f = counts / counts.sum()
    losses = [-torch.xlogy(held_out_counts, smooth(f, e / 1000)).sum().item() for e in range(1000)]
    return losses.index(min(losses))


@wrong("but the loss is least at")  # the counts are no distribution yet
def best_epsilon(counts, held_out_counts):
    grid = torch.linspace(0.001, 0.999, 999).tolist()
    losses = [-torch.xlogy(held_out_counts, smooth(counts, e)).sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("but the loss is least at")  # the two are confused
def best_epsilon(counts, held_out_counts):
    f = held_out_counts / held_out_counts.sum()
    grid = torch.linspace(0, 0.999, 1000).tolist()
    losses = [-torch.xlogy(counts, smooth(f, e)).sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("but the loss is least at")  # every class of the same weight
def best_epsilon(counts, held_out_counts):
    f = counts / counts.sum()
    grid = torch.linspace(0.001, 0.999, 999).tolist()
    losses = [-smooth(f, e)[held_out_counts > 0].log().sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("0 or more and below 1")  # 1 is no epsilon
def best_epsilon(counts, held_out_counts):
    f = counts / counts.sum()
    grid = torch.linspace(0, 1, 1001).tolist()
    losses = [-torch.xlogy(held_out_counts, smooth(f, e)).sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("your function changes the counts")
def best_epsilon(counts, held_out_counts):
    counts /= counts.sum()
    grid = torch.linspace(0, 0.999, 1000).tolist()
    losses = [-torch.xlogy(held_out_counts, smooth(counts, e)).sum().item() for e in grid]
    return grid[losses.index(min(losses))]


@wrong("returns nothing")
def best_epsilon(counts, held_out_counts):
    f = counts / counts.sum()
    grid = torch.linspace(0, 0.999, 1000).tolist()
    print(min(grid, key=lambda e: -torch.xlogy(held_out_counts, smooth(f, e)).sum().item()))
