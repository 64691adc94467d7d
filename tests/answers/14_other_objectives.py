"""Answers to the exercises of chapter 14."""

import itertools
import math

import numpy as np
import torch

from minigpt.t5 import corrupt
from minigpt.xlnet import order, visible

# 1: what the content stream may see


@right  # loops
def content_mask(places):
    n = len(places)
    mask = torch.zeros(n, n, dtype=torch.bool)
    for rank, place in enumerate(places):
        for earlier in places[: rank + 1]:
            mask[place, earlier] = True
    return mask


@right  # with the package
def content_mask(places):
    return visible(order(len(places), places)) | torch.eye(len(places)).bool()


@right  # NumPy
def content_mask(places):
    rank = np.argsort(places)
    return torch.from_numpy(rank[None] <= rank[:, None])


@right  # a triangle, put back in place
def content_mask(places):
    mask = torch.empty(len(places), len(places), dtype=torch.bool)
    mask[torch.tensor(places)[:, None], torch.tensor(places)] = torch.ones(len(places), len(places)).tril().bool()
    return mask


@right  # sets, as the list is read
def content_mask(places):
    rows, seen = {}, set()
    for place in places:
        seen.add(place)
        rows[place] = [column in seen for column in range(len(places))]
    return torch.tensor([rows[row] for row in range(len(places))])


@wrong("mask of the query stream")
def content_mask(places):
    rank = torch.tensor(places).argsort()
    return rank[:, None] > rank


@wrong("comes later in the order")  # the axes exchanged
def content_mask(places):
    rank = torch.tensor(places).argsort()
    return rank >= rank[:, None]


@wrong("comes later in the order")  # the list taken for the ranks
def content_mask(places):
    rank = torch.tensor(places)
    return rank[:, None] >= rank


@wrong("comes later in the order")  # the causal mask
def content_mask(places):
    return torch.ones(len(places), len(places)).bool().tril()


@wrong("comes later in the order")  # everything
def content_mask(places):
    return torch.ones(len(places), len(places)).bool()


@wrong("which came earlier in the order")  # the one before alone
def content_mask(places):
    rank = torch.tensor(places).argsort()
    return (rank[:, None] - rank).clamp(min=-1).sub(0.5).abs() == 0.5


@wrong("which came earlier in the order")  # nothing but itself
def content_mask(places):
    return torch.eye(len(places)).bool()


@wrong("return a tensor, not list")
def content_mask(places):
    rank = sorted(range(len(places)), key=places.__getitem__)
    return [[a >= b for b in rank] for a in rank]


@wrong("must be of booleans")
def content_mask(places):
    rank = torch.tensor(places).argsort()
    return (rank[:, None] >= rank).float()


@wrong("the shape must be")  # the size of the figure
def content_mask(places):
    rank = torch.tensor([3, 0, 4, 1, 2, 5]).argsort()
    return rank[:, None] >= rank


@wrong("changed the list")
def content_mask(places):
    n = len(places)
    mask, seen = torch.zeros(n, n, dtype=torch.bool), []
    while places:
        seen.append(places.pop(0))
        mask[seen[-1], seen] = True
    return mask


@wrong("return a tensor, not NoneType")
def content_mask(places):
    rank = torch.tensor(places).argsort()
    print(rank[:, None] >= rank)


# 2: holes of tokens drawn one by one


@right  # by groups
def corrupt_tokens(ids, gone, sentinels):
    source, target, number = [], [], 0
    for cut_out, run in itertools.groupby(zip(gone, ids), key=lambda pair: pair[0]):
        tokens = [token for _, token in run]
        if cut_out:
            source.append(sentinels[number])
            target += [sentinels[number], *tokens]
            number += 1
        else:
            source += tokens
    target.append(sentinels[number])
    return source, target


@right  # with the package's corrupt
def corrupt_tokens(ids, gone, sentinels):
    spans, place = [], 0
    while place < len(ids):
        start = place
        while place < len(ids) and gone[place]:
            place += 1
        if place > start:
            spans.append(range(start, place))
        place += 1
    return corrupt(ids, spans, sentinels)


@right  # looks at the one before
def corrupt_tokens(ids, gone, sentinels):
    number, source, target = -1, [], []
    for i, token in enumerate(ids):
        if gone[i] and (i == 0 or not gone[i - 1]):
            number += 1
            source += [sentinels[number]]
            target += [sentinels[number]]
        if gone[i]:
            target += [token]
        else:
            source += [token]
    return [source, target + [sentinels[number + 1]]]


@right  # tuples, an argument more
def corrupt_tokens(ids, gone, sentinels, number=0):
    if not any(gone):
        return tuple(ids), (sentinels[number],)
    first = gone.index(True)
    last = next((i for i in range(first, len(ids)) if not gone[i]), len(ids))
    source, target = corrupt_tokens(ids[last:], gone[last:], sentinels, number + 1)
    mark = (sentinels[number],)
    return (*ids[:first], *mark, *source), (*mark, *ids[first:last], *target)


@wrong("neighbours share one hole")  # a sentinel a token
def corrupt_tokens(ids, gone, sentinels):
    source, target, number = [], [], 0
    sentinels = sentinels * 5
    for token, cut_out in zip(ids, gone):
        if cut_out:
            source.append(sentinels[number])
            target += [sentinels[number], token]
            number += 1
        else:
            source.append(token)
    return source, [*target, sentinels[number]]


@wrong("must end the target")  # the last sentinel is missing
def corrupt_tokens(ids, gone, sentinels):
    source, target, number = [], [], 0
    for i, token in enumerate(ids):
        if gone[i]:
            if i == 0 or not gone[i - 1]:
                source.append(sentinels[number])
                target.append(sentinels[number])
                number += 1
            target.append(token)
        else:
            source.append(token)
    return source, target


@wrong("must end the target")  # the last of all sentinels, not the next
def corrupt_tokens(ids, gone, sentinels):
    source, target, number = [], [], 0
    for i, token in enumerate(ids):
        if gone[i]:
            if i == 0 or not gone[i - 1]:
                source.append(sentinels[number])
                target.append(sentinels[number])
                number += 1
            target.append(token)
        else:
            source.append(token)
    return source, [*target, sentinels[-1]]


@wrong("wrong sentinels")  # always the same one
def corrupt_tokens(ids, gone, sentinels):
    source, target = [], []
    for i, token in enumerate(ids):
        if gone[i]:
            if i == 0 or not gone[i - 1]:
                source.append(sentinels[0])
                target.append(sentinels[0])
            target.append(token)
        else:
            source.append(token)
    return source, [*target, sentinels[1] if any(gone) else sentinels[0]]


@wrong("wrong sentinels")  # sorted
def corrupt_tokens(ids, gone, sentinels):
    marks, source, target, number = sorted(sentinels), [], [], 0
    for i, token in enumerate(ids):
        if gone[i]:
            if i == 0 or not gone[i - 1]:
                source.append(marks[number])
                target.append(marks[number])
                number += 1
            target.append(token)
        else:
            source.append(token)
    return source, [*target, sentinels[number]]


@wrong("something is missing in the target")  # no sentinels in the target but the last
def corrupt_tokens(ids, gone, sentinels):
    source, target, number = [], [], 0
    for i, token in enumerate(ids):
        if gone[i]:
            if i == 0 or not gone[i - 1]:
                source.append(sentinels[number])
                number += 1
            target.append(token)
        else:
            source.append(token)
    return source, [*target, sentinels[number]]


@wrong("for ids")  # the two exchanged
def corrupt_tokens(ids, gone, sentinels):
    return corrupt_tokens_of(ids, [not cut_out for cut_out in gone], sentinels)


def corrupt_tokens_of(ids, gone, sentinels):
    source, target, number = [], [], 0
    for i, token in enumerate(ids):
        if gone[i]:
            if i == 0 or not gone[i - 1]:
                source.append(sentinels[number])
                target.append(sentinels[number])
                number += 1
            target.append(token)
        else:
            source.append(token)
    return source, [*target, sentinels[number]]


@wrong("the source must keep what is not gone")  # a token lost behind each hole
def corrupt_tokens(ids, gone, sentinels):
    ids, gone, source, target, number = list(ids), list(gone), [], [], 0
    while ids:
        if gone[0]:
            source.append(sentinels[number])
            target.append(sentinels[number])
            number += 1
            while ids and gone[0]:
                target.append(ids.pop(0))
                gone.pop(0)
            if ids:
                ids.pop(0)
                gone.pop(0)
        else:
            source.append(ids.pop(0))
            gone.pop(0)
    return source, [*target, sentinels[number]]


@wrong("something is missing in the target")  # a hole at the end is written down too late
def corrupt_tokens(ids, gone, sentinels):
    source, target, number, hole = [], [], 0, []
    for token, cut_out in zip(ids, gone):
        if cut_out:
            if not hole:
                source.append(sentinels[number])
                number += 1
            hole.append(token)
        else:
            if hole:
                target += [sentinels[number - 1], *hole]
            hole = []
            source.append(token)
    return source, [*target, sentinels[number]]


@wrong("return two lists")
def corrupt_tokens(ids, gone, sentinels):
    return corrupt_tokens_of(ids, gone, sentinels)[0]


@wrong("return two lists")
def corrupt_tokens(ids, gone, sentinels):
    print(corrupt_tokens_of(ids, gone, sentinels))


@wrong("changed a list")  # sentinels are used up
def corrupt_tokens(ids, gone, sentinels):
    source, target, before = [], [], False
    for token, cut_out in zip(ids, gone):
        if cut_out and not before:
            source.append(sentinels[0])
            target.append(sentinels.pop(0))
        (target if cut_out else source).append(token)
        before = cut_out
    return source, [*target, sentinels[0]]


@wrong("the source is too long")  # what is gone stays behind its sentinel
def corrupt_tokens(ids, gone, sentinels):
    source, target = corrupt_tokens_of(ids, gone, sentinels)
    return [token for mark in source for token in ([mark, 0] if mark in sentinels else [mark])], target


@wrong("the target should be")  # each hole backwards
def corrupt_tokens(ids, gone, sentinels):
    source, target = corrupt_tokens_of(ids, gone, sentinels)
    turned, hole = [], []
    for token in target:
        if token in sentinels:
            turned += [*hole[::-1], token]
            hole = []
        else:
            hole.append(token)
    return source, turned


# 3: the chain rule in any order


@right  # one term a place, with what is known made anew
def log_prob_in_order(conditional, ids, places):
    terms = []
    for number, place in enumerate(places):
        unknown = set(places[number:])
        known = {i: ids[i] for i in range(len(ids)) if i not in unknown}
        terms.append(math.log(float(conditional(known, place)[ids[place]])))
    return math.fsum(terms)


@right  # a tensor
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, torch.zeros(())
    for place in places:
        total = total + conditional(dict(known), place)[ids[place]].log()
        known[place] = ids[place]
    return total


@right  # recursion from the end
def log_prob_in_order(conditional, ids, places):
    if not places:
        return 0.0
    *before, last = places
    first = log_prob_in_order_given(conditional, ids, before, {last})
    return first + math.log(conditional({i: t for i, t in enumerate(ids) if i != last}, last)[ids[last]])


def log_prob_in_order_given(conditional, ids, places, later):
    total = 0.0
    for number, place in enumerate(places):
        hidden = later | set(places[number:])
        total += math.log(conditional({i: t for i, t in enumerate(ids) if i not in hidden}, place)[ids[place]])
    return total


@right  # NumPy, float64
def log_prob_in_order(conditional, ids, places, base=None):
    known = {i: ids[i] for i in set(range(len(ids))) - set(places)}
    found = np.zeros(len(places))
    for number, place in enumerate(places):
        found[number] = np.log(np.asarray(conditional(known, place), dtype=np.float64)[ids[place]])
        known |= {place: ids[place]}
    return found.sum()


@wrong("about -1151.3")  # the product first
def log_prob_in_order(conditional, ids, places):
    known, product = {i: token for i, token in enumerate(ids) if i not in places}, 1.0
    for place in places:
        product *= float(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    return math.log(product) if product else -math.inf


@wrong("is among the known ones")  # all of them given
def log_prob_in_order(conditional, ids, places):
    return sum(math.log(conditional(dict(enumerate(ids)), place)[ids[place]]) for place in places)


@wrong("is among the known ones")  # known too early
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, 0.0
    for place in places:
        known[place] = ids[place]
        total += math.log(conditional(known, place)[ids[place]])
    return total


@wrong("you ask for")  # from left to right
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, 0.0
    for place in sorted(places) if places != sorted(places) else places[::-1]:
        total += math.log(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    return total


@wrong("is known, not")  # what was predicted is forgotten
def log_prob_in_order(conditional, ids, places):
    known = {i: token for i, token in enumerate(ids) if i not in places}
    return sum(math.log(conditional(known, place)[ids[place]]) for place in places)


@wrong("is known, not")  # what is given is not
def log_prob_in_order(conditional, ids, places):
    known, total = {}, 0.0
    for place in places:
        total += math.log(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    return total


@wrong("log-probability")  # base 2
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, 0.0
    for place in places:
        total += math.log2(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    return total


@wrong("log-probability")  # a loss, not its negative
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, 0.0
    for place in places:
        total -= math.log(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    return total


@wrong("log-probability")  # the mean
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, 0.0
    for place in places:
        total += math.log(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    return total / len(places)


@wrong("log-probability")  # a product of probabilities
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, 1.0
    for place in places:
        total *= float(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    return total


@wrong("returns nothing")
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, 0.0
    for place in places:
        total += math.log(conditional(known, place)[ids[place]])
        known[place] = ids[place]
    print(total)


@wrong("is known, not")  # places and tokens exchanged
def log_prob_in_order(conditional, ids, places):
    known, total = {i: token for i, token in enumerate(ids) if i not in places}, 0.0
    for place in places:
        total += math.log(conditional(known, place)[ids[place]])
        known[place] = (ids[place] + 1) % 3
    return total


# 4: the surest first


def ask(model, ids, left, hidden):
    with torch.no_grad():
        logits, _ = model(ids[None], hidden[None], torch.tensor([left]))
    return logits[0]


def hide(ids, places):
    hidden = torch.zeros(len(ids), len(ids), dtype=torch.bool)
    hidden[:, places] = True
    return hidden


@right  # a loop over the holes
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), set(places), []
    while left:
        hidden = torch.tensor([[column in left for column in range(len(ids))]] * len(ids))
        best = (-1.0, None, None)
        for place in sorted(left):
            probabilities = ask(model, ids, [place], hidden)[0].softmax(dim=-1)
            best = max(best, (float(probabilities.max()), place, int(probabilities.argmax())))
        _, place, token = best
        ids[place] = token
        left.remove(place)
        way.append(place)
    return ids, way


@right  # all places asked, those that are given left out
def fill_surest(model, ids, places):
    ids, way = ids.clone(), []
    while len(way) < len(places):
        left = [place for place in places if place not in way]
        probabilities = ask(model, ids, list(range(len(ids))), hide(ids, left)).double().softmax(dim=-1)
        known = torch.ones(len(ids), dtype=torch.bool)
        known[left] = False
        place = int(probabilities.amax(dim=-1).masked_fill(known, -1).argmax())
        ids[place] = probabilities[place].argmax()
        way.append(place)
    return ids, torch.tensor(way)


@right  # recursion
def fill_surest(model, ids, places):
    if not places:
        return ids, []
    log_probs = ask(model, ids, list(places), hide(ids, list(places))).log_softmax(dim=-1)
    number, token = divmod(int(log_probs.argmax()), log_probs.shape[-1])
    filled, way = fill_surest(
        model,
        ids.index_put((torch.tensor(places[number]),), torch.tensor(token)),
        places[:number] + places[number + 1 :],
    )
    return filled, [places[number], *way]


@right  # batched: a row for each hole, and a list for a result
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        n = len(left)
        rows = ids.expand(n, -1)
        with torch.inference_mode():
            logits, _ = model(rows, hide(ids, left).expand(n, -1, -1), torch.tensor(left)[:, None])
        sure, token = torch.max(torch.softmax(logits[:, 0].clone(), 1), 1)
        place = left[sure.argmax()]
        ids[place] = int(token[sure.argmax()])
        left = [other for other in left if other != place]
        way += [place]
    return [ids, way]


@wrong("the surest is")  # in the order that is given
def fill_surest(model, ids, places):
    ids, left = ids.clone(), list(places)
    for place in places:
        ids[place] = ask(model, ids, [place], hide(ids, left))[0].argmax()
        left.remove(place)
    return ids, list(places)


@wrong("the surest is")  # the least sure
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        sure, token = ask(model, ids, left, hide(ids, left)).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmin())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("a filled hole is given")  # asked once, at the beginning
def fill_surest(model, ids, places):
    sure, token = ask(model, ids, list(places), hide(ids, places)).softmax(dim=-1).max(dim=-1)
    filled, numbers = ids.clone(), sure.argsort(descending=True).tolist()
    for number in numbers:
        filled[places[number]] = token[number]
    return filled, [places[number] for number in numbers]


@wrong("a filled hole is given")  # what is filled stays hidden
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        sure, token = ask(model, ids, left, hide(ids, places)).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("the surest is")  # the largest logit
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        largest, token = ask(model, ids, left, hide(ids, left)).max(dim=-1)
        number = int(largest.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("one that is not filled is seen by nobody")  # holes of a higher rank see those of a lower one
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        sure, token = ask(model, ids, left, ~visible(order(len(ids), left))).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("one that is not filled is seen by nobody")  # the holes do not look at holes, but the given places do
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        hidden = torch.zeros(len(ids), len(ids), dtype=torch.bool)
        hidden[torch.tensor(left)[:, None], torch.tensor(left)] = True
        sure, token = ask(model, ids, left, hidden).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("one that is not filled is seen by nobody")  # rows for columns
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        sure, token = ask(model, ids, left, hide(ids, left).T).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("one that is not filled is seen by nobody")  # the content stream
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        with torch.no_grad():
            logits, _ = model(ids[None], hide(ids, left)[None])
        sure, token = logits[0, left].softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("changed what it was given")
def fill_surest(model, ids, places):
    left, way = list(places), []
    while left:
        sure, token = ask(model, ids, left, hide(ids, left)).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("return the new ids, and the list of holes")
def fill_surest(model, ids, places):
    ids, left = ids.clone(), list(places)
    while left:
        sure, token = ask(model, ids, left, hide(ids, left)).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        ids[left.pop(number)] = token[number]
    return ids


@wrong("of the shape (T,)")
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        sure, token = ask(model, ids, left, hide(ids, left)).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids[None], way


@wrong("you say that you filled")  # numbers within the list of holes
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        sure, token = ask(model, ids, left, hide(ids, left)).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(number)
        ids[left.pop(number)] = token[number]
    return ids, way


@wrong("you say that you filled")  # a list that all calls share
def fill_surest(model, ids, places, way=[]):
    ids, left = ids.clone(), list(places)
    while left:
        sure, token = ask(model, ids, left, hide(ids, left)).softmax(dim=-1).max(dim=-1)
        number = int(sure.argmax())
        way.append(left.pop(number))
        ids[way[-1]] = token[number]
    return ids, way


@wrong("not its best token")  # the second best
def fill_surest(model, ids, places):
    ids, left, way = ids.clone(), list(places), []
    while left:
        probabilities = ask(model, ids, left, hide(ids, left)).softmax(dim=-1)
        number = int(probabilities.amax(dim=-1).argmax())
        way.append(left.pop(number))
        ids[way[-1]] = probabilities[number].topk(2).indices[1]
    return ids, way
