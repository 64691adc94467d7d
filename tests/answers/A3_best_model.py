"""Right and wrong answers to assignment A3 (see README.md)."""

import heapq
import math

import numpy as np
import torch

from minigpt.transformer import GPT, GPTConfig

GOOD = {"context_length": 32, "n_layers": 2, "n_heads": 2, "width": 48, "mlp_width": 176}
RATES = {"batch_size": 8, "muon_rate": 0.03, "adamw_rate": 0.03, "weight_decay": 0.01, "warm_up": 0.05, "decay": 0.6}


# 1: what it costs ----------------------------------------------------------------------------------------------------


@right  # the shapes of all matrices
def parameters(design):
    V, T, D = design["vocabulary_size"], design["context_length"], design["width"]
    M = 4 * D if design.get("mlp_width") is None else design["mlp_width"]
    shapes = [(V, D)]
    if not design.get("tied_embeddings"):
        shapes.append((D, V))
    if design.get("positions") == "learned":
        shapes.append((T, D))
    if design.get("head_bias"):
        shapes.append((V,))
    for _ in range(design["n_layers"]):
        shapes += [(D, 3 * D), (D, D), (D, M), (M, D)]
    return sum(math.prod(shape) for shape in shapes)


@right  # the arguments by their names
def parameters(design):
    def count(
        vocabulary_size,
        context_length,
        n_layers,
        n_heads,
        width,
        mlp_width=None,
        positions="rotary",
        tied_embeddings=False,
        head_bias=False,
    ):
        block = 4 * width**2 + 2 * width * (mlp_width or 4 * width)
        learned = context_length * width * (positions == "learned")
        return vocabulary_size * (width * (2 - tied_embeddings) + head_bias) + learned + n_layers * block

    return count(**design)


@right  # of what the settings become
def parameters(design, config=None):
    config = GPTConfig(**design)
    total = config.vocabulary_size * config.width + 4 * config.n_layers * config.width**2
    total += 2 * config.n_layers * config.width * (config.mlp_width or 4 * config.width)
    total += 0 if config.tied_embeddings else config.vocabulary_size * config.width
    total += config.vocabulary_size if config.head_bias else 0
    return total + (config.context_length * config.width if config.positions == "learned" else 0)


@right  # shapes without numbers
def parameters(design):
    with torch.device("meta"):
        return sum(weight.numel() for weight in GPT(GPTConfig(**design)).parameters())


@wrong("a tied head costs nothing")  # as in GPT-2
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    learned = design["context_length"] * D * (design.get("positions") == "learned")
    M = design.get("mlp_width") or 4 * D
    return V * D + learned + V * bool(design.get("head_bias")) + design["n_layers"] * (4 * D * D + 2 * D * M)


@wrong("places have vectors only if positions are learned")
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    M, heads = design.get("mlp_width") or 4 * D, 2 - bool(design.get("tied_embeddings"))
    total = (V * heads + design["context_length"]) * D + V * bool(design.get("head_bias"))
    return total + design["n_layers"] * (4 * D * D + 2 * D * M)


@wrong("the MLP has two matrices of D M")
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    M, heads = design.get("mlp_width") or 4 * D, 2 - bool(design.get("tied_embeddings"))
    learned = design["context_length"] * D * (design.get("positions") == "learned")
    return V * D * heads + learned + V * bool(design.get("head_bias")) + design["n_layers"] * (4 * D * D + D * M)


@wrong("M is 4 D unless it is given")
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    heads = 2 - bool(design.get("tied_embeddings"))
    learned = design["context_length"] * D * (design.get("positions") == "learned")
    return V * D * heads + learned + V * bool(design.get("head_bias")) + design["n_layers"] * 12 * D * D


@wrong("queries, keys, values and the projection make 4 D D")
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    M, heads = design.get("mlp_width") or 4 * D, 2 - bool(design.get("tied_embeddings"))
    learned = design["context_length"] * D * (design.get("positions") == "learned")
    return V * D * heads + learned + V * bool(design.get("head_bias")) + design["n_layers"] * (3 * D * D + 2 * D * M)


@wrong("each layer has its own")
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    M, heads = design.get("mlp_width") or 4 * D, 2 - bool(design.get("tied_embeddings"))
    learned = design["context_length"] * D * (design.get("positions") == "learned")
    return V * D * heads + learned + V * bool(design.get("head_bias")) + 4 * D * D + 2 * D * M


@wrong("a bias of the head for each token")
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    M, heads = design.get("mlp_width") or 4 * D, 2 - bool(design.get("tied_embeddings"))
    learned = design["context_length"] * D * (design.get("positions") == "learned")
    return V * D * heads + learned + design["n_layers"] * (4 * D * D + 2 * D * M)


@wrong("a number of its own")  # biases and gains, as in chapter 12
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    M, heads = design.get("mlp_width") or 4 * D, 2 - bool(design.get("tied_embeddings"))
    learned = design["context_length"] * D * (design.get("positions") == "learned")
    block = 4 * D * D + 4 * D + 2 * D * M + M + D + 4 * D
    return V * D * heads + learned + V * bool(design.get("head_bias")) + design["n_layers"] * block + 2 * D


@wrong("return an int, and not")
def parameters(design):
    return design["vocabulary_size"] * design["width"] * 2.0


@wrong("return an int, and not None")
def parameters(design):
    print(12 * design["n_layers"] * design["width"] ** 2)


@wrong("changes the dictionary")
def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    M, heads = design.setdefault("mlp_width", None) or 4 * D, 2 - bool(design.get("tied_embeddings"))
    learned = design["context_length"] * D * (design.get("positions") == "learned")
    return V * D * heads + learned + V * bool(design.get("head_bias")) + design["n_layers"] * (4 * D * D + 2 * D * M)


@wrong("your code stopped with a KeyError")  # what may be missing
def parameters(design):
    V, D, M = design["vocabulary_size"], design["width"], design["mlp_width"]
    return 2 * V * D + design["n_layers"] * (4 * D * D + 2 * D * M)


@wrong("your code stopped with a RuntimeError")  # it makes one
def parameters(design):
    return GPT(GPTConfig(**design)).n_parameters


# 2: the widest -------------------------------------------------------------------------------------------------------


@right  # a quadratic equation, put right by a step
def widest(design, budget):
    step, fixed = 4 * design["n_heads"], {**design, "mlp_width": design.get("mlp_width")}
    hidden, layers = fixed["mlp_width"], design["n_layers"]
    a = layers * (4 if hidden else 12)
    b = design["vocabulary_size"] * (2 - design["tied_embeddings"]) + 2 * layers * (hidden or 0)
    b += design["context_length"] * (design["positions"] == "learned")
    width = (-b + math.isqrt(b * b + 4 * a * budget)) // (2 * a)
    width = width // step * step + step
    while width and a * width * width + b * width > budget:
        width -= step
    return width


@right  # bit by bit
def widest(design, budget):
    step, steps = 4 * design["n_heads"], 0
    for bit in reversed(range(40)):
        if parameters({**design, "width": (steps + (1 << bit)) * step}) <= budget:
            steps += 1 << bit
    return steps * step


@right  # step by step, where there is nothing between
def widest(design, budget):
    step = width = 4 * design["n_heads"]
    while parameters(dict(design, width=width)) <= budget:
        width += step
    return width - step


@right  # a number of NumPy's
def widest(design, budget):
    step = 4 * design["n_heads"]
    widths = np.arange(0, 800_000, step)
    sizes = parameters({**design, "width": widths})
    return widths[sizes <= budget][-1]


@right  # a search by PyTorch
def widest(design, budget):
    step = 4 * design["n_heads"]
    sizes = [parameters({**design, "width": n * step}) for n in range(1, 400_000 // step)]
    return int(torch.searchsorted(torch.tensor(sizes), budget, right=True)) * step


@wrong("heads cannot have a multiple of 4 each")
def widest(design, budget):
    low, high = 0, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters({**design, "width": middle}) <= budget else (low, middle)
    return low


@wrong("heads cannot have a multiple of 4 each")  # a multiple of the heads
def widest(design, budget):
    step = width = design["n_heads"]
    while parameters({**design, "width": width}) <= budget:
        width += step
    return width - step


@wrong("there is room for more")  # fewer than the budget, not at most
def widest(design, budget):
    step = width = 4 * design["n_heads"]
    while parameters({**design, "width": width}) < budget:
        width += step
    return width - step


@wrong("parameters")  # the first that does not fit
def widest(design, budget):
    step = width = 4 * design["n_heads"]
    while parameters({**design, "width": width}) <= budget:
        width += step
    return width


@wrong("has no attribute")  # nothing found
def widest(design, budget):
    step, best = 4 * design["n_heads"], None
    for width in range(step, 300_000, step):
        if parameters({**design, "width": width}) <= budget:
            best = np.array(width)
    return best.item()


@wrong("it has")  # at least the narrowest
def widest(design, budget):
    step = width = 4 * design["n_heads"]
    while parameters({**design, "width": width + step}) <= budget:
        width += step
    return width


@wrong("there is room for more")  # never wider than 512
def widest(design, budget):
    step = 4 * design["n_heads"]
    return max([w for w in range(0, 513, step) if parameters({**design, "width": w}) <= budget])


@wrong("budget")  # embeddings forgotten
def widest(design, budget):
    step = 4 * design["n_heads"]
    return int(math.sqrt(budget / (12 * design["n_layers"]))) // step * step


@wrong("a whole number, and not")
def widest(design, budget):
    step = width = 4 * design["n_heads"]
    while parameters({**design, "width": width}) <= budget:
        width += step
    return float(width - step)


@wrong("a whole number, and not None")
def widest(design, budget):
    print(design)


@wrong("changes the dictionary")
def widest(design, budget):
    design["width"] = 4 * design["n_heads"]
    while parameters(design) <= budget:
        design["width"] += 4 * design["n_heads"]
    return design["width"] - 4 * design["n_heads"]


@wrong("return 0 if not even the narrowest fits")
def widest(design, budget):
    step = width = 4 * design["n_heads"]
    while parameters({**design, "width": width}) <= budget:
        width += step
    return width - step or -1


# 3: halving ----------------------------------------------------------------------------------------------------------


@right  # by itself
def halving(designs, score, tokens):
    if len(designs) == 1:
        return designs[0]
    scored = sorted((score(design, tokens), n) for n, design in enumerate(designs))
    kept = {n for _, n in scored[: -(-len(scored) // 2)]}
    return halving([design for n, design in enumerate(designs) if n in kept], score, 2 * tokens)


@right  # NumPy's ranks
def halving(designs, score, tokens):
    left = np.arange(len(designs))
    while len(left) > 1:
        bits = np.array([score(designs[n], tokens) for n in left])
        left = np.sort(left[np.argsort(bits, kind="stable")[: math.ceil(len(left) / 2)]])
        tokens *= 2
    return designs[int(left[0])]


@right  # a heap
def halving(designs, score, tokens):
    left = list(enumerate(designs))
    while len(left) != 1:
        bits = [(score(design, tokens), n) for n, design in left]
        better = [n for _, n in heapq.nsmallest((len(left) + 1) // 2, bits)]
        left = [pair for pair in left if pair[0] in better]
        tokens = tokens + tokens
    [(_, design)] = left
    return design


@right  # the worse half is taken out, one after the other
def halving(designs, score, tokens, factor=2):
    left = list(designs)
    while len(left) > 1:
        bits = [score(design, tokens) for design in left]
        for _ in range(len(left) // factor):
            worst = max(range(len(left)), key=lambda n: (bits[n], n))
            left.pop(worst)
            bits.pop(worst)
        tokens *= factor
    return left[0]


@wrong("others than the better half")  # the worse half
def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        bits = [score(design, tokens) for design in left]
        order = sorted(range(len(left)), key=lambda n: -bits[n])[: (len(left) + 1) // 2]
        left, tokens = [left[n] for n in sorted(order)], 2 * tokens
    return left[0]


@wrong("are scored with")  # of five the best two
def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        bits = [score(design, tokens) for design in left]
        order = sorted(range(len(left)), key=bits.__getitem__)[: len(left) // 2]
        left, tokens = [left[n] for n in sorted(order)], 2 * tokens
    return left[0]


@wrong("are scored with")  # tokens stay the same
def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        bits = [score(design, tokens) for design in left]
        order = sorted(range(len(left)), key=bits.__getitem__)[: (len(left) + 1) // 2]
        left = [left[n] for n in sorted(order)]
    return left[0]


@wrong("are scored with")  # three times as many
def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        bits = [score(design, tokens) for design in left]
        order = sorted(range(len(left)), key=bits.__getitem__)[: (len(left) + 1) // 2]
        left, tokens = [left[n] for n in sorted(order)], 3 * tokens
    return left[0]


@wrong("not 4")  # the best after the first round
def halving(designs, score, tokens):
    return min(designs, key=lambda design: score(design, 8 * tokens))


@wrong("in another order than that of the list")  # the order of the scores
def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        left = sorted(left, key=lambda design: score(design, tokens))[: (len(left) + 1) // 2]
        tokens = 2 * tokens
    return left[0]


@wrong("it scores")  # once more at the end
def halving(designs, score, tokens):
    left = list(designs)
    while True:
        bits = [score(design, tokens) for design in left]
        order = sorted(range(len(left)), key=bits.__getitem__)[: (len(left) + 1) // 2]
        if len(left) == 1:
            return left[0]
        left, tokens = [left[n] for n in sorted(order)], 2 * tokens


@wrong("are scored with")  # each is scored in every comparison
def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        better = []
        for design in left:
            worse = sum(score(other, tokens) < score(design, tokens) for other in left)
            if 2 * worse < len(left):
                better.append(design)
        left, tokens = better[: (len(left) + 1) // 2], 2 * tokens
    return left[0]


@wrong("changes the list of designs")
def halving(designs, score, tokens):
    while len(designs) > 1:
        bits = [score(design, tokens) for design in designs]
        order = sorted(range(len(designs)), key=bits.__getitem__)[: (len(designs) + 1) // 2]
        designs[:] = [designs[n] for n in sorted(order)]
        tokens *= 2
    return designs[0]


@wrong("the best design is")  # a list of it
def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        bits = [score(design, tokens) for design in left]
        order = sorted(range(len(left)), key=bits.__getitem__)[: (len(left) + 1) // 2]
        left, tokens = [left[n] for n in sorted(order)], 2 * tokens
    return left


@wrong("and not None")
def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        bits = [score(design, tokens) for design in left]
        order = sorted(range(len(left)), key=bits.__getitem__)[: (len(left) + 1) // 2]
        left, tokens = [left[n] for n in sorted(order)], 2 * tokens
    print(left[0])


@wrong("your code stopped with a ")  # all scores kept from the first round
def halving(designs, score, tokens):
    bits = {design["width"]: score(design) for design in designs}
    return min(designs, key=lambda design: bits[design["width"]])


# 4: a design ---------------------------------------------------------------------------------------------------------


@right  # a longer context
def best_design():
    return {**GOOD, "context_length": 64}, {**RATES, "batch_size": 4}


@right  # three layers, in a list
def best_design():
    return [{**GOOD, "n_layers": 3, "width": 40, "mlp_width": 120}, {**RATES, "muon_rate": 0.05, "adamw_rate": 0.02}]


@right  # no key shift
def best_design():
    return dict(GOOD, key_shift=False), dict(RATES, weight_decay=0)


@right  # a longer context and no key shift
def best_design():
    return {**GOOD, "context_length": 64, "key_shift": False}, {**RATES, "batch_size": 4, "warm_up": 0.1}


@wrong("but the budget is 60,000")
def best_design():
    return {**GOOD, "width": 64}, RATES


@wrong("bits per character on held-out tales; at most 2.1")  # the first design of the text
def best_design():
    settings = {"context_length": 128, "n_layers": 2, "n_heads": 4, "width": 32}
    return settings, {**RATES, "muon_rate": 0.005, "adamw_rate": 0.006, "warm_up": 0.1}


@wrong("bits per character on held-out tales; at most 2.1")  # far too fast
def best_design():
    return {**GOOD, "context_length": 256}, {**RATES, "muon_rate": 1.0, "adamw_rate": 1.0, "batch_size": 16}


@wrong("the training needs")
def best_design():
    return GOOD, {"learning_rate": 0.01, "batch_size": 8}


@wrong("n_layers must be a whole number from 1 to 4")
def best_design():
    return {**GOOD, "n_layers": 8, "width": 24}, RATES


@wrong("but must have 256 to 4,096")
def best_design():
    return GOOD, {**RATES, "batch_size": 2}


@wrong("return two dictionaries")
def best_design():
    return {**GOOD, **RATES}


@wrong("return two dictionaries, settings and training, and not None")
def best_design():
    print(GOOD, RATES)


@wrong("cannot be shared among 5 heads")
def best_design():
    return {**GOOD, "n_heads": 5}, RATES


@wrong("width must be a whole number")
def best_design():
    return {**GOOD, "width": "48"}, RATES


@wrong("vocabulary_size is not yours to choose")
def best_design():
    return {**GOOD, "vocabulary_size": 10}, RATES


@wrong("unexpected keyword argument")
def best_design():
    return {**GOOD, "dropout": 0.1}, RATES


@wrong("muon_rate must be a number from 0 to 1")
def best_design():
    return GOOD, {**RATES, "muon_rate": -0.02}


@wrong("your code stopped with a")  # settings of GPTConfig's class
def best_design():
    return GPTConfig(53, **GOOD), RATES.missing
