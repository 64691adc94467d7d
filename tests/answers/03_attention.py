"""Right and wrong answers to chapter 03's exercises (see README.md)."""

import math

import numpy as np
import torch
from torch import nn

from minigpt.attention import AdditiveAttention

masks = {}


def scores_of(query, key):
    return (query * key).sum() / math.sqrt(query.shape[0])


# 1: a local mask -----------------------------------------------------------------------------------------------------


@right  # the difference of two triangles
def local_mask(n, window):
    mask = torch.ones(n, n, dtype=torch.bool)
    return mask.tril() & mask.triu(1 - window)


@right  # loops
def local_mask(n, window):
    mask = torch.zeros(n, n).bool()
    for row in range(n):
        mask[row, max(0, row - window + 1) : row + 1] = True
    return mask


@right  # from a list
def local_mask(n: int, window: int) -> torch.Tensor:
    return torch.tensor([[0 <= row - column < window for column in range(n)] for row in range(n)])


@right  # NumPy inside
def local_mask(n, window):
    return torch.from_numpy(np.tri(n, k=0) - np.tri(n, k=-window)) > 0


@right  # the newest rows of a long band
def local_mask(n, window, dtype=torch.bool):
    long = torch.zeros(n, n + window - 1, dtype=dtype)
    for row in range(n):
        long[row, row : row + window] = True
    return long[:, window - 1 :]


@wrong("lets the future through")
def local_mask(n, window):  # near in both directions
    places = torch.arange(n)
    return (places[:, None] - places).abs() < window


@wrong("lets the future through")
def local_mask(n, window):  # rows and columns exchanged
    distance = torch.arange(n) - torch.arange(n)[:, None]
    return (distance >= 0) & (distance < window)


@wrong("lets the future through")
def local_mask(n, window):  # True where hidden, as PyTorch's attn_mask
    distance = torch.arange(n)[:, None] - torch.arange(n)
    return ~((distance >= 0) & (distance < window))


@wrong("too far back; the position itself counts")
def local_mask(n, window):  # off by one
    distance = torch.arange(n)[:, None] - torch.arange(n)
    return (distance >= 0) & (distance <= window)


@wrong("too far back")
def local_mask(n, window):  # the plain causal mask
    return torch.ones(n, n, dtype=torch.bool).tril()


@wrong("something is missing")
def local_mask(n, window):  # one too few
    distance = torch.arange(n)[:, None] - torch.arange(n)
    return (distance >= 0) & (distance < window - 1)


@wrong("something is missing")
def local_mask(n, window):  # not itself
    distance = torch.arange(n)[:, None] - torch.arange(n)
    return (distance > 0) & (distance < window)


@wrong("something is missing")
def local_mask(n, window):  # the text begins where the first whole window ends
    mask = torch.zeros(n, n, dtype=torch.bool)
    for row in range(window - 1, n):
        mask[row, row - window + 1 : row + 1] = True
    return mask


@wrong("is of torch.float32, not booleans")
def local_mask(n, window):
    mask = torch.ones(n, n)
    return mask.tril() - mask.tril(-window)


@wrong("is of torch.int64, not booleans")
def local_mask(n, window):
    return torch.tensor([[int(0 <= row - column < window) for column in range(n)] for row in range(n)])


@wrong("returns ndarray, not a tensor")
def local_mask(n, window):
    return np.tri(n, k=0) - np.tri(n, k=-window) > 0


@wrong("returns NoneType, not a tensor")
def local_mask(n, window):  # printed, not returned
    distance = torch.arange(n)[:, None] - torch.arange(n)
    print((distance >= 0) & (distance < window))


@wrong("has shape (5, 5), not (")
def local_mask(n, window):  # one size
    distance = torch.arange(5)[:, None] - torch.arange(5)
    return (distance >= 0) & (distance < window)


@wrong("too far back")
def local_mask(n, window):  # remembers by n alone
    if n not in masks:
        distance = torch.arange(n)[:, None] - torch.arange(n)
        masks[n] = (distance >= 0) & (distance < window)
    return masks[n]


@wrong("lets the future through")
def local_mask(n, window):  # a negative start counts from the end
    mask = torch.zeros(n, n, dtype=torch.bool)
    for row in range(n):
        for back in range(window):
            mask[row, (row - back) % n] = True
    return mask


# 2: a head that looks one step back ----------------------------------------------------------------------------------


@right  # a parabola with its top at t - 1: two coordinates are enough
def previous_token_head(n):
    t = torch.arange(n, dtype=torch.float32)
    return torch.stack([2 * (t - 1), -torch.ones(n)], dim=1) * 10, torch.stack([t, t**2], dim=1)


@right  # points on a circle, in float64
def previous_token_head(n):
    angles = torch.arange(n).double() * (2 * math.pi / 200)
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    turned = torch.stack([(angles - math.pi / 100).cos(), (angles - math.pi / 100).sin()], dim=1)
    return (30_000 * turned, circle)


@right  # loops, and a list of two instead of a tuple
def previous_token_head(n):
    queries, keys = torch.zeros(n, n + 3), torch.zeros(n, n + 3)
    for t in range(n):
        keys[t, t] = 50.0
        if t > 0:
            queries[t, t - 1] = 50.0
    return [queries, keys]


@right  # random directions are nearly at right angles
def previous_token_head(n, d=400):
    keys = nn.functional.normalize(torch.randn(n, d), dim=1)
    return 50 * d**0.5 * torch.cat([keys[:1], keys[:-1]]), keys


@right  # integers
def previous_token_head(n):
    places = torch.eye(n, dtype=torch.int64)
    return 100 * n * places.roll(-1, dims=1), places


@right  # that need gradients
def previous_token_head(n):
    places = nn.Parameter(torch.eye(n) * 20)
    return places.roll(1, dims=0) * n**0.5, places


@wrong("make queries or keys longer")
def previous_token_head(n):  # no scale
    places = torch.eye(n)
    return places.roll(-1, dims=1), places


@wrong("attention divides by the root of d, too")
def previous_token_head(n):  # enough for small n only
    places = torch.eye(n)
    return 15 * places.roll(-1, dims=1), places


@wrong("itself: shift the queries or the keys by one place")
def previous_token_head(n):
    places = 30 * torch.eye(n)
    return places, places


@wrong("shifted the other way")
def previous_token_head(n):
    places = 30 * torch.eye(n)
    return places.roll(1, dims=1), places


@wrong("queries and keys swapped?")
def previous_token_head(n):
    places = 30 * torch.eye(n)
    return places, places.roll(-1, dims=1)


@wrong("must return two tensors, queries and keys, not Tensor")
def previous_token_head(n):  # the weights themselves
    return torch.eye(n).roll(-1, dims=1)


@wrong("must return two tensors, queries and keys, not NoneType")
def previous_token_head(n):
    places = 30 * torch.eye(n)
    queries = places.roll(-1, dims=1)


@wrong("must return two tensors")
def previous_token_head(n):  # arrays
    return 30 * np.eye(n, k=-1), 30 * np.eye(n)


@wrong("not numbers: the scores overflow float32")
def previous_token_head(n):
    places = 1e30 * torch.eye(n)
    return places.roll(-1, dims=1), places


@wrong("have shapes (7, 7) and (7, 7), not (2, d) both")
def previous_token_head(n):  # one size
    places = 30 * torch.eye(7)
    return places.roll(-1, dims=1), places


@wrong("not (2, d) both")
def previous_token_head(n):  # with a batch of one
    places = 30 * torch.eye(n)[None]
    return places.roll(-1, dims=2), places


@wrong("have shapes (2,) and (2,), not (2, d) both")
def previous_token_head(n):  # one number a position
    t = torch.arange(n).float()
    return 100 * (t - 1), t


@wrong("most to row")
def previous_token_head(n):  # one number a position, which cannot do it: the greatest key wins
    t = torch.arange(n).float()[:, None]
    return 1000 * (t - 1), -t


# 3: attention in one pass --------------------------------------------------------------------------------------------


@right  # two cases
def take_in(running, query, key, value):
    largest, total, weighted = running
    score = scores_of(query, key)
    if score > largest:
        shrink = torch.exp(largest - score)
        return score, total * shrink + 1, weighted * shrink + value
    power = torch.exp(score - largest)
    return largest, total + power, weighted + power * value


@right  # plain floats, and a list
def take_in(running, query, key, value):
    largest, total = running[0].item(), running[1].item()
    score = sum(q * k for q, k in zip(query.tolist(), key.tolist())) / math.sqrt(len(query))
    new = max(largest, score)
    old, power = math.exp(largest - new), math.exp(score - new)
    return [new, total * old + power, running[2] * old + power * value]


@right  # total and weighted sum as one vector
def take_in(running, query, key, value):
    largest, total, weighted = running
    score = torch.einsum("d,d->", query, key) * query.numel() ** -0.5
    both = torch.stack([largest, score])
    powers = (both - both.max()).exp()
    sums = torch.stack([torch.cat([total[None], weighted]), torch.cat([torch.ones_like(total)[None], value])])
    total, *_ = mixed = powers @ sums
    return both.max(), total, mixed[1:]


@right  # by logarithms of the sums
def take_in(running, query, key, value):
    largest, total, weighted = running
    score = query.dot(key) / len(key) ** 0.5
    top = torch.max(largest, score)
    log_total = torch.logaddexp(largest + total.log(), score)
    share = (score - log_total).exp()
    mean = (1 - share) * (weighted / total if total > 0 else 0) + share * value
    total = (log_total - top).exp()
    return top, total, mean * total


@right  # in place, but on copies
def take_in(running, query, key, value):
    largest, total, weighted = (x.clone() for x in running)
    score = (query / len(query) ** 0.5) @ key
    new = max(largest, score)
    total *= (largest - new).exp()
    weighted *= (largest - new).exp()
    total += (score - new).exp()
    weighted += (score - new).exp() * value
    return new, total, weighted


@wrong("total is")
def take_in(running, query, key, value):  # old sums not scaled down
    largest, total, weighted = running
    score = scores_of(query, key)
    new = torch.maximum(largest, score)
    power = (score - new).exp()
    return new, total + power, weighted + power * value


@wrong("scale old sums down to a new largest score, add e^(score - largest) * value")
def take_in(running, query, key, value):  # only one of the sums scaled down
    largest, total, weighted = running
    score = scores_of(query, key)
    new = torch.maximum(largest, score)
    power = (score - new).exp()
    return new, total * (largest - new).exp() + power, weighted + power * value


@wrong("the scores q · k / √d")
def take_in(running, query, key, value):  # no root
    largest, total, weighted = running
    score = query @ key
    new = torch.maximum(largest, score)
    old, power = (largest - new).exp(), (score - new).exp()
    return new, total * old + power, weighted * old + power * value


@wrong("after 1 pairs, not 1.0: e^(score - largest)")
def take_in(running, query, key, value):  # nothing subtracted
    largest, total, weighted = running
    score = scores_of(query, key)
    return torch.maximum(largest, score), total + score.exp(), weighted + score.exp() * value


@wrong("total is inf after 1 pairs")
def take_in(running, query, key, value):  # the old largest subtracted
    largest, total, weighted = running
    score = scores_of(query, key)
    new = torch.maximum(largest, score)
    power = (score - largest).exp()
    return new, total * (largest - new).exp() + power, weighted * (largest - new).exp() + power * value


@wrong("total is nan after 1 pairs")
def take_in(running, query, key, value):  # scaled up, not down
    largest, total, weighted = running
    score = scores_of(query, key)
    new = torch.maximum(largest, score)
    old, power = (new - largest).exp(), (score - new).exp()
    return new, total * old + power, weighted * old + power * value


@wrong("afterwards: leave it as it is")
def take_in(running, query, key, value):  # in place
    largest, total, weighted = running
    score = scores_of(query, key)
    new = torch.maximum(largest, score)
    old, power = (largest - new).exp(), (score - new).exp()
    total.mul_(old).add_(power)
    weighted.mul_(old).add_(power * value)
    return new, total, weighted


@wrong("query was")
def take_in(running, query, key, value):  # the query scaled in place, again at each step
    largest, total, weighted = running
    query /= len(query) ** 0.5
    score = query @ key
    new = torch.maximum(largest, score)
    old, power = (largest - new).exp(), (score - new).exp()
    return new, total * old + power, weighted * old + power * value


@wrong("weighted is")
def take_in(running, query, key, value):  # already divided
    largest, total, weighted = running
    score = scores_of(query, key)
    new = torch.maximum(largest, score)
    old, power = (largest - new).exp(), (score - new).exp()
    total = total * old + power
    return new, total, (weighted * old + power * value) / total


@wrong("weighted is")
def take_in(running, query, key, value):  # the values not weighted
    largest, total, weighted = running
    score = scores_of(query, key)
    new = torch.maximum(largest, score)
    old, power = (largest - new).exp(), (score - new).exp()
    return new, total * old + power, weighted * old + value


@wrong("must return three tensors: largest, total, weighted; not Tensor")
def take_in(running, query, key, value):  # what the query finds
    largest, total, weighted = running
    score = scores_of(query, key)
    new = torch.maximum(largest, score)
    old, power = (largest - new).exp(), (score - new).exp()
    return (weighted * old + power * value) / (total * old + power)


@wrong("largest is")
def take_in(running, query, key, value):  # the latest score, not the largest
    largest, total, weighted = running
    score = scores_of(query, key)
    old = (largest - score).exp()
    return score, total * old + 1, weighted * old + value


@wrong("largest is")
def take_in(running, query, key, value):  # remembers outside of what it is given
    _, total, weighted = running
    largest = masks.get("largest", torch.tensor(-math.inf))
    score = scores_of(query, key)
    new = masks["largest"] = torch.maximum(largest, score)
    old, power = (largest - new).exp(), (score - new).exp()
    return new, total * old + power, weighted * old + power * value


@wrong("has shape (1,), not ()")
def take_in(running, query, key, value):
    largest, total, weighted = running
    score = query[None] @ key / len(query) ** 0.5
    new = torch.maximum(largest, score)
    old, power = (largest - new).exp(), (score - new).exp()
    return new, total * old + power, weighted * old + power * value


# 4: attention that does not look -------------------------------------------------------------------------------------


@right  # a softmax of zeros
class BlindAttention(AdditiveAttention):
    def forward(self, query, keys, values, mask):
        weights = torch.zeros(mask.shape).masked_fill(~mask, -math.inf).softmax(dim=1)
        return torch.einsum("bs,bsd->bd", weights, values), weights


@right  # the old look-up, of keys that are all alike
class BlindAttention(AdditiveAttention):
    def forward(self, query, keys, values, mask):
        return super().forward(query, torch.zeros_like(keys), values, mask)


@right  # loops over rows
class BlindAttention(AdditiveAttention):
    def forward(self, query, keys, values, mask):
        found, weights = [], torch.zeros(mask.shape)
        for row, words in enumerate(mask):
            weights[row, words] = 1 / int(words.sum())
            found.append(values[row][words].mean(dim=0))
        return torch.stack(found), weights


@right  # another base, and a list of two
class BlindAttention(nn.Module):
    def __init__(self, query_width, value_width, width):
        super().__init__()
        self.of_value = nn.Linear(value_width, width)

    def forward(self, query, keys, values, mask):
        lengths = mask.sum(dim=1, keepdim=True)
        found = torch.where(mask[..., None], values, 0).sum(dim=1) / lengths
        return [found, torch.where(mask, 1 / lengths, 0)]


@right  # copies changed in place
class BlindAttention(AdditiveAttention):
    def forward(self, query, keys, values, mask=None):
        weights = mask.clone().float()
        weights /= weights.sum(dim=-1)[:, None]
        return torch.bmm(weights.unsqueeze(1), values).squeeze(1), weights


@wrong("some goes to the filling")
class BlindAttention(AdditiveAttention):  # the mask ignored
    def forward(self, query, keys, values, mask):
        weights = torch.full(mask.shape, 1 / mask.shape[1])
        return (weights[:, None] @ values)[:, 0], weights


@wrong("to each of its words")
class BlindAttention(AdditiveAttention):  # divided by S, not by the number of words
    def forward(self, query, keys, values, mask):
        weights = mask / mask.shape[1]
        return (weights[:, None] @ values)[:, 0], weights


@wrong("to each of its words")
class BlindAttention(AdditiveAttention):  # divided by the words of the whole batch
    def forward(self, query, keys, values, mask):
        weights = mask / mask.sum()
        return (weights[:, None] @ values)[:, 0], weights


@wrong("to each of its words")
class BlindAttention(AdditiveAttention):  # a sum, not a mean
    def forward(self, query, keys, values, mask):
        weights = mask.float()
        return (weights[:, None] @ values)[:, 0], weights


@wrong("to each of its words")
class BlindAttention(AdditiveAttention):  # it looks
    def forward(self, query, keys, values, mask):
        return super().forward(query, keys, values, mask)


@wrong("to each of its words")
class BlindAttention(AdditiveAttention):  # it does not see the query, but it sees the keys
    def forward(self, query, keys, values, mask):
        return super().forward(torch.zeros_like(query), keys, values, mask)


@wrong("some goes to the filling")
class BlindAttention(AdditiveAttention):  # the mask read the other way
    def forward(self, query, keys, values, mask):
        weights = ~mask / (~mask).sum(dim=1, keepdim=True)
        return (weights[:, None] @ values)[:, 0], weights


@wrong("some goes to the filling")
class BlindAttention(AdditiveAttention):  # the words thought to stand first
    def forward(self, query, keys, values, mask):
        lengths = mask.sum(dim=1, keepdim=True)
        weights = (torch.arange(mask.shape[1]) < lengths) / lengths
        return (weights[:, None] @ values)[:, 0], weights


@wrong("the mean of their values is not what it finds")
class BlindAttention(AdditiveAttention):  # right weights, not used
    def forward(self, query, keys, values, mask):
        return values.mean(dim=1), mask / mask.sum(dim=1, keepdim=True)


@wrong("must return two tensors")
class BlindAttention(AdditiveAttention):  # no weights
    def forward(self, query, keys, values, mask):
        weights = mask / mask.sum(dim=1, keepdim=True)
        return (weights[:, None] @ values)[:, 0]


@wrong("found and weights have shapes ((3, 6), (3, 4))")
class BlindAttention(AdditiveAttention):  # in the other order
    def forward(self, query, keys, values, mask):
        weights = mask / mask.sum(dim=1, keepdim=True)
        return weights, (weights[:, None] @ values)[:, 0]


@wrong("found and weights have shapes ((3, 1, 4), (3, 1, 6))")
class BlindAttention(AdditiveAttention):  # an axis too many
    def forward(self, query, keys, values, mask):
        weights = (mask / mask.sum(dim=1, keepdim=True))[:, None]
        return weights @ values, weights


@wrong("found and weights have shapes ((3, 5), (3, 6))")
class BlindAttention(AdditiveAttention):  # the mean of the keys
    def forward(self, query, keys, values, mask):
        weights = mask / mask.sum(dim=1, keepdim=True)
        return (weights[:, None] @ keys)[:, 0], weights


@wrong("no gradient reaches the values")
class BlindAttention(AdditiveAttention):
    @torch.no_grad()
    def forward(self, query, keys, values, mask):
        weights = mask / mask.sum(dim=1, keepdim=True)
        return (weights[:, None] @ values)[:, 0], weights


@wrong("the values changed during the call")
class BlindAttention(AdditiveAttention):
    def forward(self, query, keys, values, mask):
        values.data[~mask] = 0
        lengths = mask.sum(dim=1, keepdim=True)
        return values.sum(dim=1) / lengths, mask / lengths


@wrong("the mask changed during the call")
class BlindAttention(AdditiveAttention):
    def forward(self, query, keys, values, mask):
        weights = torch.zeros(mask.shape).masked_fill(mask.logical_not_(), -math.inf).softmax(dim=1)
        return (weights[:, None] @ values)[:, 0], weights


@wrong("has no attribute 'of_value'")
class BlindAttention(nn.Module):  # the translator cannot use it
    def __init__(self, query_width, value_width, width):
        super().__init__()

    def forward(self, query, keys, values, mask):
        weights = mask / mask.sum(dim=1, keepdim=True)
        return (weights[:, None] @ values)[:, 0], weights
