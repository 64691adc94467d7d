"""Answers to the exercises of chapter 11."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from minigpt.training import TrainingConfig, learning_rate_factor, make_optimizers

# 1: half a cosine ---------------------------------------------------------------------------------------------------


@right  # a squared cosine of half the angle is the same curve
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (1 + step) / warm_up
    return lowest + (1 - lowest) * math.cos(math.pi / 2 * (step - warm_up) / (steps - warm_up)) ** 2


@right  # NumPy, and a tensor for a number
def cosine_factor(step, steps, warm_up, lowest, rise=None):
    way = np.clip((step - warm_up) / (steps - warm_up), 0, 1)
    down = lowest + (1 - lowest) * (1 + np.cos(np.pi * way)) / 2
    return torch.tensor(min(down, (step + 1) / warm_up) if step < warm_up else down)


@right  # a sine, shifted
def cosine_factor(step, steps, warm_up, lowest):
    middle, swing = (1 + lowest) / 2, (1 - lowest) / 2
    way = (step - warm_up) / (steps - warm_up)
    return (step + 1) / warm_up if step < warm_up else middle - swing * math.sin(math.pi * (way - 0.5))


@right  # a class that is called
class cosine_factor:
    def __new__(cls, step, steps, warm_up, lowest):
        if step + 1 <= warm_up:
            return (step + 1) / warm_up
        angle = math.pi * (steps - step) / (steps - warm_up)
        return 0.5 * (1 - math.cos(angle)) * (1 - lowest) + lowest


@wrong("not step / warm_up")  # counts from 0
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return step / warm_up
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


@wrong("the first step is worth 1 / warm_up")  # no warm-up
def cosine_factor(step, steps, warm_up, lowest):
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * step / steps)) / 2


@wrong("at the end all of the way down is gone")  # down to zero
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


@wrong("shrink the cosine, do not cut it")  # cut off below
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return max(lowest, (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2)


@wrong("subtract warm_up from step")  # the cosine began at step 0
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * step / steps)) / 2


@wrong("at the end all of the way down is gone")  # divided by all the steps
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * (step - warm_up) / steps)) / 2


@wrong("at the end all of the way down is gone")  # a whole cosine
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return lowest + (1 - lowest) * (1 + math.cos(2 * math.pi * (step - warm_up) / (steps - warm_up))) / 2


@wrong("half-way it is the mean of 1 and lowest")  # a quarter of a cosine
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return lowest + (1 - lowest) * math.cos(math.pi / 2 * (step - warm_up) / (steps - warm_up))


@wrong("above the straight line")  # a line
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return 1 - (1 - lowest) * (step - warm_up) / (steps - warm_up)


@wrong("half-way it is the mean of 1 and lowest")  # integer division
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * ((step - warm_up) // (steps - warm_up)))) / 2


@wrong("here the cosine begins, at the top")  # one step of warm-up too many
def cosine_factor(step, steps, warm_up, lowest):
    if step <= warm_up:
        return (step + 1) / warm_up
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


@wrong("here the cosine begins, at the top")  # the lowest is added, and the rest not shrunk
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    return lowest + (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


@wrong("the first step is worth 1 / warm_up")  # the package's warm-up of 60 steps
def cosine_factor(step, steps, warm_up, lowest):
    if step < 60:
        return (step + 1) / 60
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * (step - 60) / (steps - 60))) / 2


@wrong("is something kept between calls?")  # keeps what the first call of a step gave
def cosine_factor(step, steps, warm_up, lowest, known={}):
    if step not in known:
        way = (step - warm_up) / (steps - warm_up)
        rise = (step + 1) / warm_up
        known[step] = rise if step < warm_up else lowest + (1 - lowest) * (1 + math.cos(math.pi * way)) / 2
    return known[step]


@wrong("it returns nothing")  # printed
def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        print((step + 1) / warm_up)
    else:
        print(lowest + (1 - lowest) * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2)


@wrong("the first step is worth 1 / warm_up")  # the answer to another question: the trapezoid of the chapter
def cosine_factor(step, steps, warm_up, lowest):
    return max(lowest, learning_rate_factor(step, steps, 1 - warm_up / steps))


# 2: pieces of unequal size ------------------------------------------------------------------------------------------


@right  # the sums of the losses, divided by all the tokens
def accumulate(model, pieces):
    total, tokens = 0.0, sum(len(piece) * (piece.shape[1] - 1) for piece in pieces)
    for piece in pieces:
        logits = model(piece[:, :-1]).flatten(0, 1)
        loss = F.cross_entropy(logits, piece[:, 1:].flatten(), reduction="sum")
        (loss / tokens).backward()
        total += float(loss)
    return total / tokens


@right  # the gradients are divided when all have been added up
def accumulate(model, pieces):
    total, tokens = 0.0, 0
    for piece in pieces:
        targets = piece[:, 1:]
        loss = model(piece[:, :-1], targets) * targets.numel()
        loss.backward()
        total, tokens = total + loss.item(), tokens + targets.numel()
    with torch.no_grad():
        for weight in model.parameters():
            weight.grad /= tokens
    return total / tokens


@right  # the gradient as an argument of backward
def accumulate(model, pieces):
    counts = [piece[:, 1:].numel() for piece in pieces]
    losses = []
    for piece, count in zip(pieces, counts):
        losses.append(model(piece[:, :-1], piece[:, 1:]))
        losses[-1].backward(torch.tensor(count / sum(counts)))
        losses[-1] = losses[-1].detach()
    return float(np.average(torch.stack(losses).numpy(), weights=counts))


@right  # row by row, and without backward
def accumulate(model, pieces, log=None):
    tokens = sum(row[1:].numel() for piece in pieces for row in piece)
    sums, total = [torch.zeros_like(weight) for weight in model.parameters()], 0.0
    for row in [row[None] for piece in pieces for row in piece]:
        loss = model(row[:, :-1], row[:, 1:]) * (row.shape[1] - 1) / tokens
        for place, slope in zip(sums, torch.autograd.grad(loss, list(model.parameters()))):
            place += slope
        total += loss.item()
    for weight, gradient in zip(model.parameters(), sums):
        weight.grad = gradient
    return total


@wrong("counting alike")  # the mean of the means
def accumulate(model, pieces):
    total = 0.0
    for piece in pieces:
        loss = model(piece[:, :-1], piece[:, 1:]) / len(pieces)
        loss.backward()
        total += loss.item()
    return total


@wrong("counting by their rows")
def accumulate(model, pieces):
    total, rows = 0.0, sum(len(piece) for piece in pieces)
    for piece in pieces:
        loss = model(piece[:, :-1], piece[:, 1:]) * len(piece) / rows
        loss.backward()
        total += loss.item()
    return total


@wrong("T + 1 of them make T predictions")  # off by one
def accumulate(model, pieces):
    total, tokens = 0.0, sum(piece.numel() for piece in pieces)
    for piece in pieces:
        loss = model(piece[:, :-1], piece[:, 1:]) * piece.numel() / tokens
        loss.backward()
        total += loss.item()
    return total


@wrong("the sum of the pieces' means")  # nothing divided
def accumulate(model, pieces):
    total = 0.0
    for piece in pieces:
        loss = model(piece[:, :-1], piece[:, 1:])
        loss.backward()
        total += loss.item()
    return total / len(pieces)


@wrong("but of the last piece alone")  # emptied before each piece
def accumulate(model, pieces):
    total, tokens = 0.0, sum(piece[:, 1:].numel() for piece in pieces)
    for piece in pieces:
        model.zero_grad()
        loss = model(piece[:, :-1], piece[:, 1:]) * piece[:, 1:].numel() / tokens
        loss.backward()
        total += loss.item()
    return total


@wrong("call backward for each piece")  # no gradient at all
def accumulate(model, pieces):
    tokens = sum(piece[:, 1:].numel() for piece in pieces)
    with torch.no_grad():
        return sum(model(piece[:, :-1], piece[:, 1:]).item() * piece[:, 1:].numel() for piece in pieces) / tokens


@wrong("it returns Tensor, not a float")
def accumulate(model, pieces):
    total, tokens = 0.0, sum(piece[:, 1:].numel() for piece in pieces)
    for piece in pieces:
        loss = model(piece[:, :-1], piece[:, 1:]) * piece[:, 1:].numel() / tokens
        loss.backward()
        total += loss.detach()
    return total


@wrong("the mean over all predicted tokens is")  # right gradients, and the mean of the means
def accumulate(model, pieces):
    losses, tokens = [], sum(piece[:, 1:].numel() for piece in pieces)
    for piece in pieces:
        loss = model(piece[:, :-1], piece[:, 1:])
        (loss * piece[:, 1:].numel() / tokens).backward()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@wrong("and no step")  # goes on to take a step
def accumulate(model, pieces):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    total, tokens = 0.0, sum(piece[:, 1:].numel() for piece in pieces)
    for piece in pieces:
        loss = model(piece[:, :-1], piece[:, 1:]) * piece[:, 1:].numel() / tokens
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


@wrong("inputs [:, :-1], targets [:, 1:]?")  # predicts what it sees
def accumulate(model, pieces):
    total, tokens = 0.0, sum(piece[:, 1:].numel() for piece in pieces)
    for piece in pieces:
        loss = model(piece[:, :-1], piece[:, :-1]) * piece[:, 1:].numel() / tokens
        loss.backward()
        total += loss.item()
    return total


@wrong("inputs [:, :-1], targets [:, 1:]?")  # backward from a sum that grows: the first pieces count several times
def accumulate(model, pieces):
    total, tokens = 0.0, sum(piece[:, 1:].numel() for piece in pieces)
    for piece in pieces:
        total = total + model(piece[:, :-1], piece[:, 1:]) * piece[:, 1:].numel() / tokens
        total.backward(retain_graph=True)
    return total.item()


@wrong("it returns NoneType, not a float")
def accumulate(model, pieces):
    tokens = sum(piece[:, 1:].numel() for piece in pieces)
    for piece in pieces:
        (model(piece[:, :-1], piece[:, 1:]) * piece[:, 1:].numel() / tokens).backward()


# 3: every pattern alike ---------------------------------------------------------------------------------------------


@right  # einsum, and the other order of the products
def polar(G, rounds):
    X = G / G.square().sum(dim=(-2, -1), keepdim=True).sqrt()
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * torch.einsum("...ij,...jk->...ik", X, torch.einsum("...ji,...jk->...ik", X, X))
    return X


@right  # the polynomial on the singular values
def polar(G, rounds):
    U, S, V = torch.linalg.svd(G, full_matrices=False)
    s = S / torch.linalg.vector_norm(S, dim=-1, keepdim=True)
    for _ in range(rounds):
        s = s * (3 - s * s) / 2
    return (U * s[..., None, :]) @ V


@right  # one matrix at a time
def polar(G, rounds, epsilon=0.0):
    if G.ndim > 2:
        return torch.stack([polar(one, rounds, epsilon) for one in G])
    X = G / (G.norm() + epsilon)
    identity = torch.eye(len(G), dtype=G.dtype)
    for _ in range(rounds):
        X = (1.5 * identity - 0.5 * X @ X.T) @ X
    return X


@right  # by recursion
def polar(G, rounds):
    if rounds == 0:
        return G / torch.linalg.matrix_norm(G, keepdim=True)
    X = polar(G, rounds - 1)
    return torch.lerp(X, X @ X.mT @ X, -0.5)


@wrong("each matrix has a length of its own")
def polar(G, rounds):
    X = G / G.norm()
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@wrong("is it transposed back?")
def polar(G, rounds):
    X = G.mT if G.shape[-2] > G.shape[-1] else G
    X = X / torch.linalg.matrix_norm(X, keepdim=True)
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@wrong("divide by the length first")
def polar(G, rounds):
    X = G
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@wrong("mind the signs")
def polar(G, rounds):
    X = G / torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(rounds):
        X = 1.5 * X + 0.5 * X @ X.mT @ X
    return X


@wrong("products of matrices")  # number by number
def polar(G, rounds):
    X = G / torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X**3
    return X


@wrong("after 40 rounds, not 1")  # the answer to a neighbouring question
def polar(G, rounds):
    X = G / torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(rounds):
        gram = X @ X.mT
        X = 3.4445 * X + (-4.7750 * gram + 2.0315 * gram @ gram) @ X
    return X


@wrong("G has been changed")
def polar(G, rounds):
    G /= torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(rounds):
        G = 1.5 * G - 0.5 * G @ G.mT @ G
    return G


@wrong("in G's own precision")  # sixteen bits on the way
def polar(G, rounds):
    X = (G / torch.linalg.matrix_norm(G, keepdim=True)).bfloat16()
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X.to(G.dtype)


@wrong("keep to G's own precision")
def polar(G, rounds):
    X = (G / torch.linalg.matrix_norm(G, keepdim=True)).float()
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@wrong("is it one round, after the division?")  # one round too many
def polar(G, rounds):
    X = G / torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(rounds + 1):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@wrong("all rounds of them")  # always five
def polar(G, rounds):
    X = G / torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(5):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@wrong("is it one round, after the division?")  # where the rounds lead, not the rounds
def polar(G, rounds):
    U, _, V = torch.linalg.svd(G, full_matrices=False)
    return U @ V


@wrong("is it one round, after the division?")  # the largest singular value for the length
def polar(G, rounds):
    X = G / torch.linalg.matrix_norm(G, ord=2, keepdim=True)
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@wrong("the directions have changed")  # the length of each row
def polar(G, rounds):
    X = G / G.norm(dim=-1, keepdim=True) / max(G.shape[-2:])
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


@wrong("it returns NoneType, not a tensor")
def polar(G, rounds):
    X = G / torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X


# 4: a resume without its optimisers ---------------------------------------------------------------------------------


@right  # gradients emptied before each step, and once more at the end
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        model.zero_grad(set_to_none=False)
        loss = model(rows[:, :-1], rows[:, 1:])
        losses.append(float(loss))
        loss.backward()
        optimizers["adamw"].step()
        optimizers["muon"].step()
    model.zero_grad()
    return losses


@right  # torch.autograd.grad, and the loss computed here
def take_steps(model, optimizers, batches):
    def step(rows):
        logits = model(rows[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), rows[:, 1:].reshape(-1))
        for weight, slope in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters()))):
            weight.grad = slope
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return [step(rows) for rows in batches]


@right  # closures
def take_steps(model, optimizers, batches, clip=None):
    losses = []
    for batch in batches:
        model(batch[:, :-1], batch[:, 1:]).backward()
        losses.append(model(batch[:, :-1], batch[:, 1:]).tolist())
        [optimizer.step() for optimizer in optimizers.values()]
        for weight in model.parameters():
            weight.grad = None
    return losses


@right  # by recursion, in pieces of one row
def take_steps(model, optimizers, batches):
    if len(batches) == 0:
        return []
    first, *others = batches
    total = 0.0
    for row in first.split(1):
        loss = model(row[:, :-1], row[:, 1:]) / len(first)
        loss.backward()
        total += loss.item()
    for optimizer in optimizers.values():
        optimizer.step()
    model.zero_grad()
    return [total, *take_steps(model, optimizers, others)]


@wrong("empty all gradients after each step")  # never
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.step()
    return losses


@wrong("before gradients are emptied?")  # emptied too early
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.zero_grad()
            optimizer.step()
    return losses


@wrong("does optimizers['adamw'] step")  # one of the two only
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        optimizers["muon"].step()
        model.zero_grad()
    return losses


@wrong("does optimizers['muon'] step")  # the other one only
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        optimizers["adamw"].step()
        model.zero_grad()
    return losses


@wrong("before its step")  # the loss after the step
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        model(rows[:, :-1], rows[:, 1:]).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        losses.append(model(rows[:, :-1], rows[:, 1:]).item())
    return losses


@wrong("4 batches make a list of 4 floats")  # tensors
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.detach())
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    return losses


@wrong("4 batches make a list of 4 floats")  # nothing returned
def take_steps(model, optimizers, batches):
    for rows in batches:
        model(rows[:, :-1], rows[:, 1:]).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()


@wrong("4 batches make a list of 4 floats")  # the return inside the loop
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        return losses


@wrong("keep both as they are given")  # new optimisers: what the exercise is about
def take_steps(model, optimizers, batches):
    config = TrainingConfig(steps=9, learning_rate=0.03, muon_learning_rate=0.08)
    optimizers, losses = make_optimizers(model, config), []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    return losses


@wrong("step once a batch with each optimiser")  # both steps twice
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for _ in optimizers:
            for optimizer in optimizers.values():
                optimizer.step()
        model.zero_grad()
    return losses


@wrong("keep both as they are given")  # a schedule
def take_steps(model, optimizers, batches):
    losses = []
    for step, rows in enumerate(batches):
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] *= learning_rate_factor(step, len(batches), 0.6)
            optimizer.step()
            optimizer.zero_grad()
    return losses


@wrong("the first loss is")  # all targets are the inputs
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, :-1])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    return losses


@wrong("the losses are")  # the first batch again and again
def take_steps(model, optimizers, batches):
    losses = []
    for _ in batches:
        loss = model(batches[0][:, :-1], batches[0][:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    return losses


@wrong("has not moved")  # trains a copy
def take_steps(model, optimizers, batches):
    model, optimizers = copy.deepcopy((model, optimizers))
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    return losses


@wrong("the end is another")  # no step for the last batch
def take_steps(model, optimizers, batches):
    losses = []
    for number, rows in enumerate(batches):
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        if number + 1 < len(batches):
            for optimizer in optimizers.values():
                optimizer.step()
        model.zero_grad()
    return losses


@wrong("the last gradient is not emptied")  # emptied before each step, and not at the end
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        model.zero_grad()
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.step()
    return losses


@wrong("step once a batch with each optimiser")  # clipped, as in the Learner
def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    return losses
