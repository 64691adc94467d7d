"""Right and wrong answers to the exercises of chapter 10 (see README.md)."""

import copy
import math

import numpy as np
import torch

from minigpt.transformer import Block, GPTConfig, rotate

# 1: the parameters of a block ---------------------------------------------------------------------------------------


@right  # count a real block
def block_parameters(D, hidden):
    block = Block(GPTConfig(2, 2, 1, 1, D, mlp_width=hidden))
    return sum(parameter.numel() for parameter in block.parameters())


@right  # matrix by matrix
def block_parameters(D, hidden, heads=4):
    queries = keys = values = heads * D * (D // heads)
    projection = D * D
    into, out = D * hidden, hidden * D
    return sum([queries, keys, values, projection, into, out])


@right  # a float, factored
def block_parameters(D, hidden):
    return 2.0 * D * (2.0 * D + hidden)


@right  # NumPy's number
def block_parameters(D, hidden):
    return np.prod([4, D, D]) + np.prod([2, D, hidden])


@right  # a tensor
def block_parameters(D, hidden):
    return sum(torch.empty(*shape, device="meta").numel() for shape in ((3 * D, D), (D, D), (hidden, D), (D, hidden)))


@wrong("12 D² holds for an MLP of 4 D units")
def block_parameters(D, hidden):
    return 12 * D**2


@wrong("counts biases and gains")
def block_parameters(D, hidden):
    return 4 * D**2 + 4 * D + 2 * D * hidden + hidden + D + 4 * D


@wrong("counts biases of linear layers")
def block_parameters(D, hidden):
    return 4 * (D**2 + D) + (D + 1) * hidden + (hidden + 1) * D


@wrong("counts gains of norms")
def block_parameters(D, hidden):
    return 4 * D**2 + 2 * D * hidden + 2 * D


@wrong("queries, keys and values take a matrix each")
def block_parameters(D, hidden):
    return 2 * D**2 + 2 * D * hidden


@wrong("the projection after the heads is missing")
def block_parameters(D, hidden):
    return 3 * D**2 + 2 * D * hidden


@wrong("one in and one out")
def block_parameters(D, hidden):
    return 4 * D**2 + D * hidden


@wrong("the MLP has two matrices, not three")  # a gated MLP
def block_parameters(D, hidden):
    return 4 * D**2 + 3 * D * hidden


@wrong("your function returns None")
def block_parameters(D, hidden):
    print(4 * D**2 + 2 * D * hidden)


@wrong("the block has")  # 4 D times hidden
def block_parameters(D, hidden):
    return 4 * D**2 + 2 * D * 4 * hidden


@wrong("the block has")  # D^2 forgotten: 4 D
def block_parameters(D, hidden):
    return 4 * D + 2 * D * hidden


@wrong("the block has")  # right for the first example of the chapter
def block_parameters(D, hidden):
    return 4 * 16**2 + 2 * 16 * 64


@wrong("the block has")  # the embedding of the whole model, too
def block_parameters(D, hidden):
    return 4 * D**2 + 2 * D * hidden + 9 * D


@wrong("return a number; your function returns (")
def block_parameters(D, hidden):
    return 4 * D**2, 2 * D * hidden


# 2: positions that turn ---------------------------------------------------------------------------------------------


@right  # plain loops
def rotate_neighbours(x):
    T, d = x.shape
    out = torch.empty_like(x)
    for t in range(T):
        for i in range(d // 2):
            angle = t * 10_000 ** (-2 * i / d)
            a, b = x[t, 2 * i].item(), x[t, 2 * i + 1].item()
            out[t, 2 * i] = a * math.cos(angle) - b * math.sin(angle)
            out[t, 2 * i + 1] = a * math.sin(angle) + b * math.cos(angle)
    return out


@right  # complex numbers
def rotate_neighbours(x):
    T, d = x.shape
    pairs = torch.view_as_complex(x.reshape(T, d // 2, 2).double())
    angles = torch.outer(torch.arange(T), 10_000.0 ** (-torch.arange(0, d, 2) / d)).double()
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).reshape(T, d).float()


@right  # the package's rotate, between two shuffles of columns
def rotate_neighbours(x, base=10_000.0):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * base ** -(torch.arange(0, d, 2) / d)
    halves = rotate(torch.cat([x[:, 0::2], x[:, 1::2]], dim=1), angles.cos(), angles.sin())
    return halves.unflatten(1, (2, d // 2)).transpose(1, 2).flatten(1)


@right  # GPT-J's own way: each angle twice, and rotate_every_two
def rotate_neighbours(x):
    T, d = x.shape
    angles = (torch.arange(T)[:, None] / 10_000 ** (torch.arange(0, d, 2) / d)).repeat_interleave(2, dim=1)
    every_two = torch.stack([-x[:, 1::2], x[:, ::2]], dim=-1).flatten(1)
    return x * angles.cos() + every_two * angles.sin()


@right  # a 2 x 2 matrix for each pair, in double precision
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None].double() * torch.exp(-math.log(10_000) * torch.arange(0, d, 2) / d)
    turn = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], dim=-1).unflatten(-1, (2, 2))
    return torch.einsum("tpij,tpj->tpi", turn, x.double().unflatten(1, (-1, 2))).flatten(1)


@wrong("the pairs are (i, i + d/2)")
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d)
    return rotate(x, angles.cos(), angles.sin())


@wrong("these turn the other way round")
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d)
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a * angles.cos() + b * angles.sin(), b * angles.cos() - a * angles.sin()], dim=-1).flatten(1)


@wrong("positions begin with 0")
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(1, T + 1)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d)
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1).flatten(1)


@wrong("not put back side by side")
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d)
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=1)


@wrong("is -2 i / d, not -i / d")
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(d // 2) / d)
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1).flatten(1)


@wrong("with a minus")
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 10_000.0 ** (torch.arange(0, d, 2) / d)
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1).flatten(1)


@wrong("turned by the same angle")
def rotate_neighbours(x):
    angles = torch.arange(len(x))[:, None]
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1).flatten(1)


@wrong("your function changes x")  # and reads what it has just written
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d)
    x[:, 0::2] = x[:, 0::2] * angles.cos() - x[:, 1::2] * angles.sin()
    x[:, 1::2] = x[:, 0::2] * angles.sin() + x[:, 1::2] * angles.cos()
    return x


@wrong("but should be")  # the new first coordinate makes the second
def rotate_neighbours(x):
    T, d = x.shape
    x = x.clone()
    angles = torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d)
    x[:, 0::2] = x[:, 0::2] * angles.cos() - x[:, 1::2] * angles.sin()
    x[:, 1::2] = x[:, 0::2] * angles.sin() + x[:, 1::2] * angles.cos()
    return x


@wrong("but should be")  # degrees
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.deg2rad(torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d))
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1).flatten(1)


@wrong("but should be")  # base 1,000
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 1000.0 ** -(torch.arange(0, d, 2) / d)
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1).flatten(1)


@wrong("not torch.Size([11, 3, 2])")  # the pairs are still apart
def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d)
    a, b = x[:, 0::2], x[:, 1::2]
    return torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1)


@wrong("nothing is turned")
def rotate_neighbours(x):
    return x.clone()


@wrong("of the shape of x, not <class 'NoneType'>")
def rotate_neighbours(x):
    x = x + 0


# 3: a silent head ---------------------------------------------------------------------------------------------------


def cut(start, stop, step=1):
    """A pre-hook that sets some columns to zero."""

    def hook(module, inputs):
        found = inputs[0].clone()
        found[..., start:stop:step] = 0
        return (found,)

    return hook


def with_hook(model, ids, module, hook):
    handle = module.register_forward_pre_hook(hook)
    with torch.no_grad():
        logits = model(ids)
    handle.remove()
    return logits


def every(model, one):
    """(L, H, B, T, V) of one(layer, head)."""
    L, H = model.config.n_layers, model.config.n_heads
    return torch.stack([torch.stack([one(layer, head) for head in range(H)]) for layer in range(L)])


@right  # weights set to zero in a copy
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        other = copy.deepcopy(model)
        with torch.no_grad():
            other.blocks[layer].attention.projection.weight[:, head * width : (head + 1) * width].zero_()
        return other(ids)

    return every(model, one)


@right  # weights set to zero, and put back
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        weight = model.blocks[layer].attention.projection.weight.data
        kept = weight.clone()
        weight[:, head * width : (head + 1) * width] = 0
        logits = model(ids).detach()
        weight.copy_(kept)
        return logits

    return every(model, one)


@right  # the hook changes its input in place, and returns nothing
def silence_each(model, ids, no_grad=True):
    width = model.config.head_width

    def one(layer, head):
        def hook(module, inputs):
            inputs[0][..., head * width : (head + 1) * width] = 0

        return with_hook(model, ids, model.blocks[layer].attention.projection, hook)

    return every(model, one)


@right  # a mask that is multiplied
def silence_each(model, ids):
    D, width = model.config.width, model.config.head_width
    found = torch.empty(model.config.n_layers, model.config.n_heads, *ids.shape, model.vocabulary_size)
    for layer, block in enumerate(model.blocks):
        for head in range(model.config.n_heads):
            mask = (torch.arange(D) // width != head).float()
            logits = with_hook(model, ids, block.attention.projection, lambda _, inputs, mask=mask: inputs[0] * mask)
            found[layer, head] = logits
    return found


@right  # values of that head are zero
def silence_each(model, ids):
    H, width = model.config.n_heads, model.config.head_width

    def one(layer, head):
        other = copy.deepcopy(model)
        made = other.blocks[layer].attention.queries_keys_values
        rows = slice((2 * H + head) * width, (2 * H + head + 1) * width)
        made.weight.data[rows] = 0
        made.bias.data[rows] = 0
        return other(ids)

    return every(model, one)


@right  # what the head adds, taken away again behind the projection
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        def hook(module, inputs, output):
            columns = slice(head * width, (head + 1) * width)
            return output - inputs[0][..., columns] @ module.weight[:, columns].T

        handle = model.blocks[layer].attention.projection.register_forward_hook(hook)
        logits = model(ids)
        handle.remove()
        return logits

    return every(model, one)


@wrong("remove each hook")
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        projection = model.blocks[layer].attention.projection
        projection.register_forward_pre_hook(cut(head * width, (head + 1) * width))
        return model(ids)

    return every(model, one)


@wrong("other weights than before")
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        model.blocks[layer].attention.projection.weight.data[:, head * width : (head + 1) * width] = 0
        return model(ids)

    return every(model, one)


@wrong("nothing is silent")  # what comes out of projection is split into heads no more
def silence_each(model, ids):
    def one(layer, head):
        def hook(module, inputs):
            found = inputs[0].clone()
            found[..., head * model.config.width : (head + 1) * model.config.width] *= 1
            return (found,)

        return with_hook(model, ids, model.blocks[layer].attention.projection, hook)

    return every(model, one)


@wrong("but should be")  # columns of what projection writes
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        def hook(module, inputs, output):
            output = output.clone()
            output[..., head * width : (head + 1) * width] = 0
            return output

        handle = model.blocks[layer].attention.projection.register_forward_hook(hook)
        logits = model(ids)
        handle.remove()
        return logits

    return every(model, one)


@wrong("a head's lie side by side")
def silence_each(model, ids):
    H, D = model.config.n_heads, model.config.width
    return every(model, lambda layer, head: with_hook(
        model, ids, model.blocks[layer].attention.projection, cut(head, D, H)))  # fmt: skip


@wrong("all heads of the layer are silent")
def silence_each(model, ids):
    D = model.config.width
    return every(model, lambda layer, head: with_hook(
        model, ids, model.blocks[layer].attention.projection, cut(0, D)))  # fmt: skip


@wrong("it is silent in every layer")
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        hooks = [
            block.attention.projection.register_forward_pre_hook(cut(head * width, (head + 1) * width))
            for block in model.blocks
        ]
        logits = model(ids)
        for hook in hooks:
            hook.remove()
        return logits

    return every(model, one)


@wrong("this is without head 1 of layer 0")  # counted from the last
def silence_each(model, ids):
    H, width = model.config.n_heads, model.config.head_width
    return every(model, lambda layer, head: with_hook(
        model, ids, model.blocks[layer].attention.projection, cut((H - 1 - head) * width, (H - head) * width)
    ))  # fmt: skip


@wrong("this is without head 0 of layer 0")  # always the first layer
def silence_each(model, ids):
    width = model.config.head_width
    return every(model, lambda layer, head: with_hook(
        model, ids, model.blocks[0].attention.projection, cut(head * width, (head + 1) * width)))  # fmt: skip


@wrong("nothing is silent")  # counted from 1: the last is none
def silence_each(model, ids):
    width = model.config.head_width
    return every(model, lambda layer, head: with_hook(
        model, ids, model.blocks[layer].attention.projection, cut((head + 2) * width, (head + 3) * width)
    ))  # fmt: skip


@wrong("return logits")  # heads first
def silence_each(model, ids):
    width = model.config.head_width
    return every(model, lambda layer, head: with_hook(
        model, ids, model.blocks[layer].attention.projection, cut(head * width, (head + 1) * width)
    )).transpose(0, 1)  # fmt: skip


@wrong("return logits")  # the last token's only
def silence_each(model, ids):
    width = model.config.head_width
    return every(model, lambda layer, head: with_hook(
        model, ids, model.blocks[layer].attention.projection, cut(head * width, (head + 1) * width)
    )[:, -1])  # fmt: skip


@wrong("but should be")  # log-probabilities
def silence_each(model, ids):
    width = model.config.head_width
    return every(model, lambda layer, head: with_hook(
        model, ids, model.blocks[layer].attention.projection, cut(head * width, (head + 1) * width)
    )).log_softmax(-1)  # fmt: skip


@wrong("but should be")  # the bias of the values is left
def silence_each(model, ids):
    H, width = model.config.n_heads, model.config.head_width

    def one(layer, head):
        other = copy.deepcopy(model)
        rows = slice((2 * H + head) * width, (2 * H + head + 1) * width)
        other.blocks[layer].attention.queries_keys_values.weight.data[rows] = 0
        return other(ids)

    return every(model, one)


@wrong("but should be")  # the head looks at all alike, instead of being silent
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        other = copy.deepcopy(model)
        made = other.blocks[layer].attention.queries_keys_values
        made.weight.data[head * width : (head + 1) * width] = 0
        made.bias.data[head * width : (head + 1) * width] = 0
        return other(ids)

    return every(model, one)


@wrong("but should be")  # only the first row of the batch
def silence_each(model, ids):
    width = model.config.head_width

    def one(layer, head):
        def hook(module, inputs):
            found = inputs[0].clone()
            found[0, :, head * width : (head + 1) * width] = 0
            return (found,)

        return with_hook(model, ids, model.blocks[layer].attention.projection, hook)

    return every(model, one)


# 4: attention and MLP side by side ----------------------------------------------------------------------------------


@right  # one sum
class ParallelBlock(Block):
    def forward(self, x, rotation=None, cache=None):
        read = self.attention_norm(x)
        return torch.stack([x, self.attention(read, rotation, cache), self.mlp(read)]).sum(dim=0)


@right  # what the package does when there is no second norm
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        kept, self.mlp_norm = self.mlp_norm, None
        try:
            return super().forward(x, rotation, cache)
        finally:
            self.mlp_norm = kept


@right  # in a loop over the parts, on a copy of x
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        out, read = x.clone(), self.attention_norm(x)
        for found in (self.mlp(read), self.attention(read, rotation, cache)):
            out += found
        return out


@right  # the norm twice, with the same weights
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        attended = x + self.attention(self.attention_norm(x), rotation=rotation, cache=cache)
        return self.mlp.projection(self.mlp.activation(self.mlp.expansion(self.attention_norm(x)))) + attended


@right  # a method made elsewhere
class ParallelBlock(Block):
    def _parts(self, read, *rest):
        return self.attention(read, *rest), self.mlp(read)

    def forward(self, x, *rest):
        return sum(self._parts(self.attention_norm(x), *rest), x)


@wrong("the MLP must not see what attention found")  # the block as it was
class ParallelBlock(Block):
    pass


@wrong("the MLP reads what attention_norm gives, not mlp_norm")  # as GPT-NeoX does
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        return x + self.attention(self.attention_norm(x), rotation, cache) + self.mlp(self.mlp_norm(x))


@wrong("the MLP reads what attention_norm gives, not x")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        return x + self.attention(self.attention_norm(x), rotation, cache) + self.mlp(x)


@wrong("attention reads the norm, not x")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        return x + self.attention(x, rotation, cache) + self.mlp(self.attention_norm(x))


@wrong("x itself is missing from the sum")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        return self.attention(read, rotation, cache) + self.mlp(read)


@wrong("what is added to is x, not its norm")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        x = self.attention_norm(x)
        return x + self.attention(x, rotation, cache) + self.mlp(x)


@wrong("attention needs the rotation")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        return x + self.attention(read, None, cache) + self.mlp(read)


@wrong("attention needs the cache")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        return x + self.attention(read, rotation, None) + self.mlp(read)


@wrong("your block changes x itself")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        x += self.attention(read, rotation, cache)
        x += self.mlp(read)
        return x


@wrong("return a tensor torch.Size([3, 7, 32]), not <class 'tuple'>")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        return x + self.attention(read, rotation, cache), x + self.mlp(read)


@wrong("return a tensor torch.Size([3, 7, 32]), not <class 'NoneType'>")
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        x = x + self.attention(read, rotation, cache) + self.mlp(read)


@wrong("but should be")  # x twice
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        return (x + self.attention(read, rotation, cache)) + (x + self.mlp(read))


@wrong("but should be")  # the mean of the two
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        return x + (self.attention(read, rotation, cache) + self.mlp(read)) / 2


@wrong("but should be")  # the MLP reads what attention gave
class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        found = self.attention(self.attention_norm(x), rotation, cache)
        return x + found + self.mlp(found)
