"""Worked solutions of the exercises of chapter 10."""

import torch

from minigpt.transformer import Block


def block_parameters(D, hidden):
    return 4 * D**2 + 2 * D * hidden


def rotate_neighbours(x):
    T, d = x.shape
    angles = torch.arange(T)[:, None] * 10_000.0 ** -(torch.arange(0, d, 2) / d)  # (T, d / 2)
    even, odd = x[:, 0::2], x[:, 1::2]
    turned = [even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos()]
    return torch.stack(turned, dim=-1).flatten(1)


def silence_each(model, ids):
    return torch.stack(
        [
            torch.stack([without(model, ids, block, head) for head in range(model.config.n_heads)])
            for block in model.blocks
        ]
    )


def without(model, ids, block, head):
    width = model.config.head_width

    def without_head(module, inputs):
        (found,) = inputs
        found = found.clone()
        found[..., head * width : (head + 1) * width] = 0
        return (found,)

    hook = block.attention.projection.register_forward_pre_hook(without_head)
    try:
        return model(ids)
    finally:
        hook.remove()


class ParallelBlock(Block):
    def forward(self, x, rotation, cache):
        read = self.attention_norm(x)
        return x + self.attention(read, rotation, cache) + self.mlp(read)
