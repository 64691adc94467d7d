"""Right and wrong answers to assignment A2 (see README.md)."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from minigpt.attention import attend
from minigpt.transformer import CausalSelfAttention, LayerCache, band

kept_by_all = []


# 1: the mask ---------------------------------------------------------------------------------------------------------


@right  # a loop
def window_mask(n_new, n_all, window):
    mask = torch.zeros(n_new, n_all, dtype=torch.bool)
    for row in range(n_new):
        place = n_all - n_new + row
        mask[row, max(0, place - window + 1) : place + 1] = True
    return mask


@right  # triangles
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_new, n_all, dtype=torch.bool)
    return ones.tril(n_all - n_new) & ones.triu(n_all - n_new - window + 1)


@right  # a list of lists, made a tensor
def window_mask(n_new, n_all, window=1):
    return torch.tensor([[0 <= n_all - n_new + i - j < window for j in range(n_all)] for i in range(n_new)])


@right  # the last rows of the whole mask, by NumPy
def window_mask(n_new, n_all, window):
    mask = np.tri(n_all, dtype=bool) & ~np.tri(n_all, k=-window, dtype=bool)
    return torch.from_numpy(mask[-n_new:])


@right  # the package's own
def window_mask(n_new, n_all, window):
    return band(n_new, n_all, window, torch.device("cpu"))


@wrong("a token sees itself and window - 1 others")
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_new, n_all, dtype=torch.bool)
    return ones.tril(n_all - n_new) & ones.triu(n_all - n_new - window)


@wrong("tokens after the row's are seen")
def window_mask(n_new, n_all, window):
    return torch.ones(n_new, n_all, dtype=torch.bool).triu(n_all - n_new - window + 1)


@wrong("tokens beyond the window are seen")
def window_mask(n_new, n_all, window):
    return torch.ones(n_new, n_all, dtype=torch.bool).tril(n_all - n_new)


@wrong("a token sees itself, too")
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_new, n_all, dtype=torch.bool)
    return ones.tril(n_all - n_new - 1) & ones.triu(n_all - n_new - window + 1)


@wrong("rows are the last tokens")
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_new, n_all, dtype=torch.bool)
    return ones.tril() & ones.triu(1 - window)


@wrong("True and False are exchanged")
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_new, n_all, dtype=torch.bool)
    return ~(ones.tril(n_all - n_new) & ones.triu(n_all - n_new - window + 1))


@wrong("return a tensor (3,")  # the whole mask
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_all, n_all, dtype=torch.bool)
    return ones.tril() & ones.triu(1 - window)


@wrong("True and False are wanted")
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_new, n_all)
    return ones.tril(n_all - n_new) * ones.triu(n_all - n_new - window + 1)


@wrong("True and False are wanted")  # to be added to scores
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_new, n_all, dtype=torch.bool)
    seen = ones.tril(n_all - n_new) & ones.triu(n_all - n_new - window + 1)
    return torch.zeros(n_new, n_all).masked_fill(~seen, -math.inf)


@wrong("not None")
def window_mask(n_new, n_all, window):
    print(torch.ones(n_new, n_all).tril())


@wrong("this is another mask")  # columns for rows
def window_mask(n_new, n_all, window):
    ones = torch.ones(n_all, n_all, dtype=torch.bool)
    return (ones.tril() & ones.triu(1 - window)).T[-n_new:]


# 2: in blocks --------------------------------------------------------------------------------------------------------


def cut(x, window, T):
    return F.pad(x, (0, 0, 0, -T % window)).unflatten(2, (-1, window))


def in_blocks(queries, keys, values, window, mask_of=None, first_hidden=True, scale=1.0, before=True):
    """What most of the answers below have in common."""
    T = queries.shape[2]
    window = min(window, T)
    place = torch.arange(window)[:, None] + window - torch.arange(2 * window)
    mask = (place >= 0) & (place < window) if mask_of is None else mask_of(place, window)
    mask = mask.repeat(-(-T // window), 1, 1)
    if first_hidden:
        mask[0, :, :window] = False
    if not before:
        mask[:, :, :window] = False
    wide = []
    for x in (keys, values):
        own = cut(x, window, T)
        wide.append(torch.cat([F.pad(own, (0, 0, 0, 0, 1, 0))[:, :, :-1], own], dim=3))
    return attend(cut(queries, window, T) * scale, *wide, mask)[0].flatten(2, 3)[:, :, :T]


@right  # windows of the text as views, by unfold
def windowed(queries, keys, values, window):
    T, d = queries.shape[2:]
    window = min(window, T)
    seen = [F.pad(x, (0, 0, window - 1, 0)).unfold(2, window, 1) for x in (keys, values)]  # (B, H, T, d, w)
    scores = torch.einsum("bhtd,bhtdw->bhtw", queries, seen[0]) / d**0.5
    hidden = torch.arange(T)[:, None] + torch.arange(window) < window - 1
    return torch.einsum("bhtw,bhtdw->bhtd", scores.masked_fill(hidden, -math.inf).softmax(dim=-1), seen[1])


@right  # a loop over the window
def windowed(queries, keys, values, window):
    T, scores, shifted = queries.shape[2], [], []
    for back in range(min(window, T)):
        earlier = F.pad(keys, (0, 0, back, 0))[:, :, :T]
        score = (queries * earlier).sum(dim=-1) / math.sqrt(queries.shape[-1])
        scores.append(score.masked_fill(torch.arange(T) < back, -math.inf))
        shifted.append(F.pad(values, (0, 0, back, 0))[:, :, :T])
    weights = torch.stack(scores).softmax(dim=0)
    return sum(weight[..., None] * value for weight, value in zip(weights, shifted))


@right  # large pieces, one after the other
def windowed(queries, keys, values, window, piece=500):
    found = []
    for start in range(0, queries.shape[2], piece):
        new, first = queries[:, :, start : start + piece], max(0, start - window + 1)
        seen = slice(first, start + new.shape[2])
        n_all = start + new.shape[2] - first
        mask = band(new.shape[2], n_all, window, torch.device("cpu"))
        found.append(F.scaled_dot_product_attention(new, keys[:, :, seen], values[:, :, seen], mask))
    return torch.cat(found, dim=2)


@right  # in float64
def windowed(queries, keys, values, window):
    return in_blocks(queries.double(), keys.double(), values.double(), window)


@right  # what is not there is a mask of zeros and ones
def windowed(queries, keys, values, window):
    T, window = queries.shape[2], min(window, queries.shape[2])
    q, k, v = (cut(x, window, T) for x in (queries, keys, values))
    k, v = (torch.cat([x.roll(1, dims=2), x], dim=3) for x in (k, v))
    scores = q @ k.mT / q.shape[-1] ** 0.5
    i, j = torch.arange(window)[:, None], torch.arange(2 * window)
    seen = ((j > i) & (j <= i + window)).expand(scores.shape[2], -1, -1).clone()
    seen[0, :, :window] = False
    weights = (scores - scores.masked_fill(~seen, -math.inf).amax(dim=-1, keepdim=True)).exp().where(seen, 0)
    return (weights @ v / weights.sum(dim=-1, keepdim=True)).flatten(2, 3)[:, :, :T]


@wrong("that takes too much memory")  # the table
def windowed(queries, keys, values, window):
    T = queries.shape[2]
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    distance = torch.arange(T)[:, None] - torch.arange(T)
    return scores.masked_fill((distance < 0) | (distance >= window), -math.inf).softmax(dim=-1) @ values


@wrong("that takes too much memory")  # PyTorch's operator and a mask
def windowed(queries, keys, values, window):
    mask = band(queries.shape[2], queries.shape[2], window, queries.device)
    return F.scaled_dot_product_attention(queries, keys, values, mask)


@wrong("a query does not see the block before its own")
def windowed(queries, keys, values, window):
    return in_blocks(queries, keys, values, window, before=False)


@wrong("two whole blocks are seen")
def windowed(queries, keys, values, window):
    return in_blocks(queries, keys, values, window, lambda place, window: place >= 0)


@wrong("the filling before the first block is seen")
def windowed(queries, keys, values, window):
    return in_blocks(queries, keys, values, window, first_hidden=False)


@wrong("the window is one token too wide")
def windowed(queries, keys, values, window):
    return in_blocks(queries, keys, values, window, lambda place, window: (place >= 0) & (place <= window))


@wrong("the window is one token too narrow")
def windowed(queries, keys, values, window):
    return in_blocks(queries, keys, values, window, lambda place, window: (place >= 0) & (place < max(1, window - 1)))


@wrong("divide the scores by the root of d")
def windowed(queries, keys, values, window):
    return in_blocks(queries, keys, values, window, scale=math.sqrt(queries.shape[-1]))


@wrong("divide by the root of d, not by d")
def windowed(queries, keys, values, window):
    return in_blocks(queries / math.sqrt(queries.shape[-1]), keys, values, window)


@wrong("later tokens are seen")
def windowed(queries, keys, values, window):
    T = queries.shape[2]
    distance = (torch.arange(T)[:, None] - torch.arange(T)).abs()
    return attend(queries, keys, values, distance < window)[0]


@wrong("return a tensor")  # filled up
def windowed(queries, keys, values, window):
    T = queries.shape[2]
    return in_blocks(*[F.pad(x, (0, 0, 0, -T % window)) for x in (queries, keys, values)], window)


@wrong("your code stopped with a RuntimeError")  # only multiples of the window
def windowed(queries, keys, values, window):
    q, k, v = (x.unflatten(2, (-1, window)) for x in (queries, keys, values))
    return in_blocks(q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3), window)


@wrong("no gradient flows")
def windowed(queries, keys, values, window):
    with torch.no_grad():
        return in_blocks(queries, keys, values, window)


@wrong("the gradients are others")
def windowed(queries, keys, values, window):
    return in_blocks(queries, keys.detach() + 0 * keys, values, window)


@wrong("changes what it is given")
def windowed(queries, keys, values, window):
    with torch.no_grad():
        queries /= math.sqrt(queries.shape[-1])
    return in_blocks(queries, keys, values, window, scale=math.sqrt(queries.shape[-1]))


@wrong("return a tensor")
def windowed(queries, keys, values, window):
    print(in_blocks(queries, keys, values, window))


# 3: a cache that forgets ---------------------------------------------------------------------------------------------


@right  # it keeps a whole window, and gives less of it
class RollingCache:
    def __init__(self, window):
        self.window = window
        self.keys = self.values = torch.zeros(0)

    def extend(self, keys, values):
        seen = []
        for old, new in ((self.keys, keys), (self.values, values)):
            before = old[:, :, max(0, old.shape[2] - self.window + 1) :] if old.numel() else new[:, :, :0]
            seen.append(torch.cat([before, new], dim=2))
        self.keys, self.values = seen[0][:, :, -self.window :], seen[1][:, :, -self.window :]
        return seen[0], seen[1]


@right  # made of the package's
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()
        self.before = window - 1

    def extend(self, keys, values):
        found = super().extend(keys, values)
        first = max(found[0].shape[2] - self.before, 0)
        self.keys, self.values = (x[:, :, first:].clone() for x in found)
        return found


@right  # lists of single tokens
class RollingCache:
    def __init__(self, window, kept=()):
        self.window, self.kept = window, list(kept)

    def extend(self, keys, values):
        seen = self.kept + list(zip(keys.unbind(2), values.unbind(2)))
        self.kept = seen[len(seen) - min(len(seen), self.window - 1) :]
        self.keys, self.values = (keys[:, :, :0], values[:, :, :0]) if not self.kept else self.stacked(self.kept)
        return self.stacked(seen)

    def stacked(self, pairs):
        return [torch.stack(one, dim=2) for one in zip(*pairs)]


@right  # one tensor for both
class RollingCache:
    def __init__(self, window):
        self.window, self.both = window, None

    def extend(self, keys, values):
        both = torch.stack([keys, values])
        seen = both if self.both is None else torch.cat([self.both, both], dim=3)
        n = seen.shape[3]
        self.both = seen.narrow(3, max(0, n - (self.window - 1)), min(n, self.window - 1))
        self.keys, self.values = self.both
        return tuple(seen)


@wrong("tokens are wanted, not of")  # nothing is forgotten
class RollingCache:
    def __init__(self, window):
        self.keys = self.values = None

    def extend(self, keys, values):
        if self.keys is not None:
            keys, values = torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values


@wrong("but the window is 4")  # gives little, keeps all
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()
        self.window = window

    def extend(self, keys, values):
        n = keys.shape[2] + self.window - 1
        return tuple(x[:, :, -n:] for x in super().extend(keys, values))


@wrong("tokens are wanted, not of")  # new tokens together need more than a window
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()
        self.window = window

    def extend(self, keys, values):
        keys, values = super().extend(keys, values)
        self.keys, self.values = keys[:, :, -self.window :], values[:, :, -self.window :]
        return self.keys, self.values


@wrong("tokens are wanted, not of")  # one too few
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()
        self.window = window

    def extend(self, keys, values):
        found = super().extend(keys, values)
        n = max(0, found[0].shape[2] - max(0, self.window - 2))
        self.keys, self.values = (x[:, :, n:] for x in found)
        return found


@wrong("tokens are wanted, not of")  # one too many
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()
        self.window = window

    def extend(self, keys, values):
        found = super().extend(keys, values)
        self.keys, self.values = (x[:, :, -self.window :] for x in found)
        return found


@wrong("window = 1, pieces of (2, 1, 1)")  # -0 keeps everything
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()
        self.window = window

    def extend(self, keys, values):
        found = super().extend(keys, values)
        self.keys, self.values = (x[:, :, -(self.window - 1) :] for x in found)
        return found


@wrong("other keys, or in another order")  # the new before the old
class RollingCache:
    def __init__(self, window):
        self.window, self.keys, self.values = window, None, None

    def extend(self, keys, values):
        if self.keys is not None:
            keys, values = torch.cat([keys, self.keys], dim=2), torch.cat([values, self.values], dim=2)
        self.keys, self.values = (x[:, :, : self.window - 1] for x in (keys, values))
        return keys, values


@wrong("other keys, or in another order")  # a ring: the newest overwrites the oldest
class RollingCache:
    def __init__(self, window):
        self.window, self.n, self.keys, self.values = window, 0, None, None

    def extend(self, keys, values):
        for t in range(keys.shape[2]):
            new = keys[:, :, t : t + 1], values[:, :, t : t + 1]
            if self.keys is None:
                self.keys, self.values = (x.clone() for x in new)
            elif self.n < self.window:
                self.keys = torch.cat([self.keys, new[0]], dim=2)
                self.values = torch.cat([self.values, new[1]], dim=2)
            else:
                self.keys[:, :, self.n % self.window], self.values[:, :, self.n % self.window] = (
                    new[0][:, :, 0],
                    new[1][:, :, 0],
                )
            self.n += 1
        return self.keys, self.values


@wrong("other values, or in another order")  # keys for values
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()
        self.window = window

    def extend(self, keys, values):
        found = super().extend(keys, keys)
        n = max(0, found[0].shape[2] - self.window + 1)
        self.keys, self.values = (x[:, :, n:] for x in found)
        return found


@wrong("a new cache knows what another one was given")
class RollingCache:
    kept = []

    def __init__(self, window):
        self.window = window
        if len(self.kept) > 20:
            self.kept.clear()

    def extend(self, keys, values):
        if self.kept:
            keys, values = torch.cat([self.kept[-1][0], keys], dim=2), torch.cat([self.kept[-1][1], values], dim=2)
        n = max(0, keys.shape[2] - self.window + 1)
        self.keys, self.values = keys[:, :, n:], values[:, :, n:]
        self.kept.append((self.keys, self.values))
        return keys, values


@wrong("extend must return two tensors")
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()

    def extend(self, keys, values):
        super().extend(keys, values)


@wrong("extend changes the new keys")
class RollingCache(LayerCache):
    def __init__(self, window):
        super().__init__()
        self.window = window

    def extend(self, keys, values):
        found = tuple(x.clone() for x in super().extend(keys, values))
        n = max(0, found[0].shape[2] - self.window + 1)
        self.keys, self.values = (x[:, :, n:] for x in found)
        keys.zero_()
        return found


@wrong("your code stopped with")  # the wrong axis
class RollingCache:
    def __init__(self, window):
        self.window, self.keys, self.values = window, None, None

    def extend(self, keys, values):
        if self.keys is not None:
            keys, values = torch.cat([self.keys, keys], dim=1), torch.cat([self.values, values], dim=1)
        self.keys, self.values = keys[:, :, 1 - self.window], values[:, :, 1 - self.window]
        return keys, values


# 4: a layer ----------------------------------------------------------------------------------------------------------


class Layer(CausalSelfAttention):
    """What most of the answers below have in common."""

    def new_cache(self):
        return RollingCache(self.window)

    def merged(self, found, x):
        return self.projection(found.transpose(1, 2).reshape(x.shape))

    def root(self):
        return math.sqrt(self.config.head_width)

    def forward(self, x, rotation, cache):
        queries, keys, values = self.heads(x, rotation, cache)
        if cache is not None:
            mask = window_mask(x.shape[1], keys.shape[2], self.window)
            return self.merged(F.scaled_dot_product_attention(queries, keys, values, mask, scale=self.scale), x)
        return self.merged(windowed(queries * (self.scale * self.root()), keys, values, self.window), x)


@right  # PyTorch's operator where there is a cache
class SlidingAttention(Layer):
    pass


@right  # what it inherits, where there is a cache
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        if cache is not None:
            return CausalSelfAttention.forward(self, x, rotation, cache)
        return super().forward(x, rotation, cache)


@right  # the keys are scaled, and blocks of one's own
class SlidingAttention(Layer):
    def forward(self, x, rotation=None, cache=None):
        if cache is not None:
            return super().forward(x, rotation, cache)
        queries, keys, values = self.heads(x, rotation, None)
        pieces = []
        for end in range(0, x.shape[1], 256):
            first, now = max(0, end - self.window + 1), slice(end, end + 256)
            some = slice(first, end + 256)
            scores = queries[:, :, now] @ keys[:, :, some].mT * self.scale
            mask = window_mask(*scores.shape[2:], self.window)
            pieces.append(scores.masked_fill(~mask, -math.inf).softmax(dim=-1) @ values[:, :, some])
        return self.merged(torch.cat(pieces, dim=2), x)


@right  # the first reading in blocks, too
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        queries, keys, values = self.heads(x, rotation, cache)
        queries = queries * (self.scale * self.root())
        if keys.shape[2] == x.shape[1]:
            return self.merged(windowed(queries, keys, values, self.window), x)
        return self.merged(attend(queries, keys, values, window_mask(x.shape[1], keys.shape[2], self.window))[0], x)


@wrong("that takes too much memory")  # what it inherits
class SlidingAttention(CausalSelfAttention):
    def new_cache(self):
        return RollingCache(self.window)


@wrong("the scale is self.scale")
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        queries, keys, values = self.heads(x, rotation, cache)
        if cache is not None:
            return super().forward(x, rotation, cache)
        return self.merged(windowed(queries, keys, values, self.window), x)


@wrong("the scores are scaled by self.scale and")
class SlidingAttention(Layer):
    def root(self):
        return 1.0


@wrong("the projection is missing")
class SlidingAttention(Layer):
    def merged(self, found, x):
        return found.transpose(1, 2).reshape(x.shape)


@wrong("the rotation is missing")
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        return super().forward(x, None, cache)


@wrong("every token before is seen")
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        queries, keys, values = self.heads(x, rotation, cache)
        return self.merged(F.scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=self.scale), x)


@wrong("the window is one token too wide")
class SlidingAttention(Layer):
    def __init__(self, config, window):
        super().__init__(config, window + 1)


@wrong("with a cache, other logits")  # the cache is not looked at
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        return super().forward(x, rotation, None)

    def new_cache(self):
        cache = super().new_cache()
        cache.extend(*torch.zeros(2, 3, 2, 1, 8))
        return cache


@wrong("with a cache, other logits")  # the mask of the first tokens, not of the last
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        queries, keys, values = self.heads(x, rotation, cache)
        if cache is None:
            return super().forward(x, rotation, cache)
        mask = window_mask(keys.shape[2], keys.shape[2], self.window)[: x.shape[1]]
        return self.merged(F.scaled_dot_product_attention(queries, keys, values, mask, scale=self.scale), x)


@wrong("but the window is")  # a cache that grows
class SlidingAttention(Layer):
    def new_cache(self):
        return LayerCache()


@wrong("but should be")  # heads are mixed up
class SlidingAttention(Layer):
    def merged(self, found, x):
        return self.projection(found.reshape(x.shape))


@wrong("forward changes x")
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        found = super().forward(x, rotation, cache)
        with torch.no_grad():
            x += found
        return found


@wrong("return a tensor")
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        return super().forward(x, rotation, cache).flatten(1)


@wrong("the gradient with x is another")
class SlidingAttention(Layer):
    def forward(self, x, rotation, cache):
        return super().forward(x.detach() + 0 * x, rotation, cache)


@wrong("has no attribute")  # no new cache
class SlidingAttention(Layer):
    def new_cache(self):
        return None
