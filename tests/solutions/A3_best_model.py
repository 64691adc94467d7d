"""Worked solutions of assignment A3."""


def parameters(design):
    V, D = design["vocabulary_size"], design["width"]
    hidden = design.get("mlp_width") or 4 * D
    embeddings = V * D * (1 if design.get("tied_embeddings", False) else 2)
    if design.get("positions", "rotary") == "learned":
        embeddings += design["context_length"] * D
    if design.get("head_bias", False):
        embeddings += V
    return embeddings + design["n_layers"] * (4 * D * D + 2 * D * hidden)


def widest(design, budget):
    step, steps = 4 * design["n_heads"], 1

    def fits(steps):
        return parameters({**design, "width": steps * step}) <= budget

    while fits(steps):
        steps *= 2
    low, high = 0, steps  # so many fit, and so many do not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low * step


def halving(designs, score, tokens):
    left = list(designs)
    while len(left) > 1:
        bits = [score(design, tokens) for design in left]
        order = sorted(range(len(left)), key=bits.__getitem__)
        kept = sorted(order[: (len(left) + 1) // 2])
        left, tokens = [left[n] for n in kept], 2 * tokens
    return left[0]


def best_design():
    settings = {"context_length": 32, "n_layers": 2, "n_heads": 2, "width": 48, "mlp_width": 176}
    training = {"batch_size": 8, "muon_rate": 0.03, "adamw_rate": 0.03, "weight_decay": 0.01, "warm_up": 0.05}
    return settings, {**training, "decay": 0.6}
