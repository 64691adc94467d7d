"""Worked solutions of the exercises of chapter 14."""

import math

import torch


def content_mask(places):
    rank = torch.tensor(places).argsort()
    return rank[:, None] >= rank


def corrupt_tokens(ids, gone, sentinels):
    source, target, unused, inside = [], [], iter(sentinels), False
    for token, cut_out in zip(ids, gone, strict=True):
        if cut_out and not inside:
            sentinel = next(unused)
            source.append(sentinel)
            target.append(sentinel)
        (target if cut_out else source).append(token)
        inside = cut_out
    return source, [*target, next(unused)]


def log_prob_in_order(conditional, ids, places):
    known = {place: token for place, token in enumerate(ids) if place not in places}
    total = 0.0
    for place in places:
        total += math.log(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    return total


def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        hidden = torch.zeros(len(ids), len(ids), dtype=torch.bool)
        hidden[:, left] = True
        with torch.no_grad():
            logits, _ = model(ids[None], hidden[None], torch.tensor([left]))
        sure, tokens = logits[0].softmax(dim=-1).max(dim=-1)
        best = int(sure.argmax())
        way.append(left.pop(best))
        ids[way[-1]] = tokens[best]
    return ids, way
