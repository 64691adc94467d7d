"""How good is a language model? Exact bits per character of any `LanguageModel`, and on Tales how far from the best.

Every token of the held-out text is scored once, none is sampled, and the sum of the losses is divided by the number of
*characters*, so that models with different tokenisers and contexts compare fairly. On Tales the Oracle gives the floor,
the loss splits by the kind of choice, answers are marked, and what a model writes is checked for validity.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from minigpt import tales
from minigpt.datasets import Tokens
from minigpt.language_model import LanguageModel
from minigpt.sampling import Sampler, complete
from minigpt.tokenizers import Tokenizer

MOST_LOGITS = 1 << 24  # in one batch: B * T * V


@dataclass(frozen=True)
class Scores:
    """What a model made of each token of a document, its end included.

    Attributes:
        nats: the loss of each token.
        hits: whether the token was the most probable one.
    """

    nats: np.ndarray
    hits: np.ndarray


def score(model: LanguageModel, documents: Sequence[Sequence[int]], end_of_text: int) -> list[Scores]:
    """Score every token of some documents, and the end of each.

    A document longer than the model's context is read in windows that overlap by half, so that each token but the first
    ones has at least half a context before it.

    Args:
        model: any language model.
        documents: token ids, without end-of-text tokens.
        end_of_text: the id that begins each document, and ends it.
    """
    sequences = [np.concatenate([[end_of_text], document, [end_of_text]]).astype(np.int64) for document in documents]
    nats = [np.zeros(len(sequence) - 1) for sequence in sequences]
    hits = [np.zeros(len(sequence) - 1, dtype=bool) for sequence in sequences]
    for batch in _batches(list(_windows(sequences, model.context_length)), model.vocabulary_size):
        longest = max(stop - start for _, start, _, stop in batch)
        ids = np.full((len(batch), longest + 1), end_of_text)
        for row, (d, start, _, stop) in enumerate(batch):
            ids[row, : stop - start + 1] = sequences[d][start : stop + 1]
        rows = torch.from_numpy(ids).to(device_of(model))
        log_probs = model.log_probs(rows[:, :-1])
        losses = -log_probs.gather(2, rows[:, 1:, None])[..., 0].double().cpu().numpy()
        right = (log_probs.argmax(2) == rows[:, 1:]).cpu().numpy()
        for row, (d, start, first, stop) in enumerate(batch):
            nats[d][first:stop] = losses[row, first - start : stop - start]
            hits[d][first:stop] = right[row, first - start : stop - start]
    return [Scores(*pair) for pair in zip(nats, hits, strict=True)]


def device_of(model: LanguageModel) -> torch.device:
    """Where a model's weights are; the CPU for a model that has none."""
    return next((parameter.device for parameter in getattr(model, "parameters", list)()), torch.device("cpu"))


def _windows(sequences: Sequence[np.ndarray], context_length: int | None) -> Iterator[tuple[int, int, int, int]]:
    """For each sequence its windows: where the inputs start, the first and last-plus-one prediction that counts."""
    for d, sequence in enumerate(sequences):
        predictions = len(sequence) - 1
        length = min(predictions, context_length or predictions)
        yield d, 0, 0, length
        for first in range(length, predictions, max(1, length // 2)):
            stop = min(first + max(1, length // 2), predictions)
            yield d, stop - length, first, stop


def _batches(windows: list, vocabulary_size: int) -> Iterator[list]:
    """Windows of about the same length together, as many as memory bears."""
    windows.sort(key=lambda window: window[3] - window[1])
    while windows:
        longest = windows[-1][3] - windows[-1][1]
        rows = max(1, MOST_LOGITS // (longest * vocabulary_size))
        yield windows[-rows:]
        del windows[-rows:]


def split_documents(tokens: Tokens) -> list[np.ndarray]:
    """The documents of a token file, without the end-of-text tokens that begin them."""
    starts = tokens.document_starts
    ends = [*starts[1:], len(tokens.ids)]
    return [np.asarray(tokens.ids[start + 1 : end], dtype=np.int64) for start, end in zip(starts, ends, strict=True)]


def bits_per_character(model: LanguageModel, tokens: Tokens, end_of_text: int) -> float:
    """Mean loss in bits per character over the whole of a token file."""
    nats = math.fsum(scores.nats.sum() for scores in score(model, split_documents(tokens), end_of_text))
    return nats / math.log(2) / tokens.characters


def floor_bits_per_character(texts: Sequence[str], language: str) -> float:
    """The Oracle's bits per character on some tales: what no model can be expected to beat."""
    nats = -math.fsum(tales.read(text, language).log_prob for text in texts)
    return nats / math.log(2) / sum(map(len, texts))


@dataclass(frozen=True)
class TalesReport:
    """A model on held-out tales, beside the Oracle.

    Attributes:
        bits_per_character: the model's loss.
        floor_bits_per_character: the Oracle's, on the same tales.
        bits_by_kind: for each kind of choice, (model's, Oracle's) share of those bits per character.
        answer_accuracy: the fraction of questions to which the model's greedy answer is right.
        questions: how many there were.
    """

    bits_per_character: float
    floor_bits_per_character: float
    bits_by_kind: dict[str, tuple[float, float]]
    answer_accuracy: float
    questions: int

    @property
    def gap(self) -> float:
        """Bits per character above the floor."""
        return self.bits_per_character - self.floor_bits_per_character


def report_on_tales(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], language: str = "english"
) -> TalesReport:
    """Compare a model with the Oracle on held-out tales, kind by kind.

    A token belongs to the kind of its first character; the end of a document, which is certain, to "spelling".
    """
    documents = [tokenizer.encode(text) for text in texts]
    all_scores = score(model, documents, tokenizer.end_of_text)
    model_nats: dict[str, float] = {}
    oracle_nats: dict[str, float] = {}
    right, questions = 0, 0
    for text, ids, scores in zip(texts, documents, all_scores, strict=True):
        reading = tales.read(text, language)
        kinds, starts = reading.kinds(), token_starts(tokenizer, ids)
        for nats, start in zip(scores.nats, [*starts[:-1], len(text)], strict=True):
            kind = kinds[start] if start < len(text) else "spelling"
            model_nats[kind] = model_nats.get(kind, 0.0) + nats
        for choice, index in reading.trace:
            oracle_nats[choice.kind] = oracle_nats.get(choice.kind, 0.0) - choice.log_probs[index]
        for first, last in reading.spans("answer"):
            tokens = [i for i in range(len(ids)) if starts[i] < last and starts[i + 1] > first]
            right += bool(scores.hits[tokens].all())
            questions += 1
    bits = math.log(2) * sum(map(len, texts))
    by_kind = {kind: (model_nats.get(kind, 0.0) / bits, nats / bits) for kind, nats in oracle_nats.items()}
    return TalesReport(
        bits_per_character=math.fsum(model_nats.values()) / bits,
        floor_bits_per_character=math.fsum(oracle_nats.values()) / bits,
        bits_by_kind=by_kind,
        answer_accuracy=right / questions if questions else math.nan,
        questions=questions,
    )


def token_starts(tokenizer: Tokenizer, ids: Sequence[int]) -> list[int]:
    """The character at which each token starts, and the length of the text.

    A token that begins inside a character (the last bytes of a Chinese one, say) starts at that character.
    """
    starts, characters = [], 0
    for token in ids:
        first_bytes = [byte & 0xC0 != 0x80 for byte in tokenizer.token_bytes(token)]  # of a character in UTF-8
        starts.append(characters - (not first_bytes[0]))
        characters += sum(first_bytes)
    return [*starts, characters]


def sample_documents(
    model: LanguageModel, tokenizer: Tokenizer, count: int, sampler: Sampler, *, seed: int = 0, most_tokens: int = 1024
) -> list[str]:
    """Let a model write whole documents, each from the end-of-text token to the next."""
    end = tokenizer.end_of_text
    start = torch.full((count, 1), end, device=device_of(model))
    written = complete(model, start, most_tokens, sampler, seed=seed, stop=end).tolist()
    return [tokenizer.decode(row[: row.index(end)] if end in row else row) for row in written]


def validity(texts: Sequence[str], language: str = "english") -> float:
    """The fraction of texts that are whole documents of the language."""
    return sum(tales.read(text, language).complete for text in texts) / len(texts)
