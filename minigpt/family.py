"""The family: published checkpoints of GPT-1, GPT-2, GPT-3, GPT-Neo, GPT-J, CTRL, XLNet and T5, read and written.

Chapter 13 builds it. A decoder is our GPT with other settings, and a table of the names that its files use; so reading
is looking up places and filling them, one tensor at a time, and writing is the same the other way round. XLNet and T5
(chapter 14) bring models and tables of their own. Layouts: Hugging Face's `transformers`; weights: safetensors, whole
or in shards, or a legacy pickle, of which nothing but tensors is ever loaded.
"""

import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from minigpt.errors import MinigptError
from minigpt.files import read_json, read_setting, replacing, write_json
from minigpt.t5 import T5, t5_config, t5_names
from minigpt.tokenizer_files import published_tokenizer, save_tokenizer
from minigpt.tokenizers import Tokenizer
from minigpt.transformer import GPT, GPT2, GPTConfig
from minigpt.wordpiece import read_word_pieces
from minigpt.xlnet import XLNET_NAMES, XLNet, xlnet_config

Names = Mapping[str, str | tuple[str, ...]]

SETTINGS = {
    "vocabulary_size": ("vocab_size",),
    "context_length": ("n_positions", "max_position_embeddings", "n_ctx"),
    "n_layers": ("n_layer", "num_layers"),
    "n_heads": ("n_head", "num_heads"),
    "width": ("n_embd", "hidden_size"),
    "mlp_width": ("n_inner", "intermediate_size", "dff"),
    "norm_epsilon": ("layer_norm_epsilon",),
    "rotary_width": ("rotary_dim",),
    "tied_embeddings": ("tie_word_embeddings",),
}
"""Settings of our GPT, and what published configurations call them; the first five are a must."""

TIED = ("lm_head.weight", "lm_loss.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""Copies of the embedding that some files have."""

ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
"""Activations that published configurations name, and what we call them."""

GPT2_NAMES: Names = {
    "embedding": "wte",
    "position_embedding": "wpe",
    "blocks": "h",
    "attention_norm": "ln_1",
    "attention.queries_keys_values": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.expansion": "mlp.c_fc",
    "mlp.projection": "mlp.c_proj",
    "final_norm": "ln_f",
    "head": "lm_head",
}
"""What GPT-2's files call the parts of our GPT; where they hold a part in pieces, the names of these, in order."""


@dataclass(frozen=True)
class Decoder:
    """A decoder-only member of the family, by what sets it apart from GPT-2.

    Attributes:
        settings: of our GPT.
        names: what its files call the parts.
        transposed: the matrices of its blocks stand the other way round: inputs in rows.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    names: Names = field(default_factory=dict)
    transposed: bool = False


def in_three(folder: str, *names: str) -> Names:
    """Queries, keys and values that are stored apart."""
    return {"attention.queries_keys_values": tuple(f"{folder}.{name}" for name in names)}


DECODERS = {
    "openai-gpt": Decoder(
        {"norm_first": False},
        {"embedding": "tokens_embed", "position_embedding": "positions_embed"},
        transposed=True,
    ),
    "gpt2": Decoder(transposed=True),
    "gpt3": Decoder(transposed=True),
    "gpt_neo": Decoder(
        {"attention_scale": 1.0, "attention_biases": "projection"},
        in_three("attn.attention", "q_proj", "k_proj", "v_proj") | {"attention.projection": "attn.attention.out_proj"},
    ),
    "gptj": Decoder(
        {"positions": "rotary", "parallel": True, "attention_biases": "none"}
        | {"tied_embeddings": False, "head_bias": True},
        in_three("attn", "q_proj", "k_proj", "v_proj")
        | {"attention.projection": "attn.out_proj", "mlp.expansion": "mlp.fc_in", "mlp.projection": "mlp.fc_out"},
    ),
    "ctrl": Decoder(
        {"positions": "sinusoidal", "activation": "relu", "head_bias": True, "norm_epsilon": 1e-6},
        in_three("multi_head_attention", "Wq", "Wk", "Wv")
        | {"attention.projection": "multi_head_attention.dense", "mlp.expansion": "ffn.0", "mlp.projection": "ffn.2"}
        | {"embedding": "w", "attention_norm": "layernorm1", "mlp_norm": "layernorm2", "final_norm": "layernorm"},
    ),
}
"""The decoders that can be loaded, by the `model_type` of their `config.json`."""


def xlnet_places(model: XLNet) -> dict[str, Tensor]:
    """Where the tensors of an XLNet belong."""
    return places(model, XLNET_NAMES)


def t5_places(model: T5) -> dict[str, Tensor]:
    """Where the tensors of a T5 belong."""
    found = {"shared.weight": model.embedding.weight.detach()}
    if not model.config.tied_embeddings:
        found["lm_head.weight"] = model.head.weight.detach()
    for side, stack in {"encoder": model.encoder, "decoder": model.decoder}.items():
        inside = places(stack, t5_names(model.config, decodes=side == "decoder"))
        found |= {f"{side}.{name}": place for name, place in inside.items()}
    return found


OTHERS = {"xlnet": (xlnet_config, XLNet, xlnet_places), "t5": (t5_config, T5, t5_places)}
"""The others: how their configuration is read, the model, and where its tensors belong."""


def load(folder: str | Path) -> tuple[nn.Module, Tokenizer | None]:
    """A published model, and its tokeniser if the folder has one that we can read.

    Args:
        folder: with `config.json`, and `model.safetensors` (or shards with an index, or a legacy `pytorch_model.bin`).

    Raises:
        MinigptError: the architecture is unknown, a file is missing or damaged or has code in it, a tensor is missing,
            surplus or of another shape, or there is too little memory.
    """
    folder = Path(folder)
    facts = read_json(folder / "config.json")
    # The project GPT2-Chinese writes no model type.
    kind = facts.get("model_type", "gpt2" if "n_embd" in facts else None) if isinstance(facts, dict) else None
    if kind not in [*DECODERS, *OTHERS]:
        known = ", ".join([*DECODERS, *OTHERS])
        raise MinigptError(f"{folder}/config.json is of the architecture {kind!r}; minigpt reads {known}")
    needed, free = sum(path.stat().st_size for path in weight_files(folder)), psutil.virtual_memory().available
    if needed > free:
        raise MinigptError(
            f"the weights in {folder} take {needed / 1e9:.1f} GB of memory or more, and {free / 1e9:.1f} GB are free:"
            " close other programs, or take a smaller model"
        )
    if kind in DECODERS:
        model = load_decoder(folder, facts, kind)
    else:
        config, make, where = OTHERS[kind]
        model = make(config(facts))
        fill(where(model), folder, getattr(model.config, "tied_embeddings", True))
    return model.eval(), find_tokenizer(folder)


def find_tokenizer(folder: Path) -> Tokenizer | None:
    """The tokeniser of a folder, by the files that it has."""
    if (folder / "tokenizer.json").exists() or (folder / "merges.txt").exists():
        return published_tokenizer(folder)
    if (folder / "vocab.txt").exists():
        return read_word_pieces(folder / "vocab.txt")
    return None


def load_decoder(folder: Path, facts: Mapping[str, Any], kind: str) -> GPT:
    """A decoder with the weights of a folder."""
    decoder = DECODERS[kind]
    model = GPT(read_config(facts, kind))
    fill(places(model, GPT2_NAMES | decoder.names, decoder.transposed), folder, model.config.tied_embeddings)
    if kind == "ctrl":
        model.final_norm.eps = facts.get("layer_norm_epsilon", model.config.norm_epsilon)
    for layer, block in enumerate(model.blocks):
        queries_keys = block.attention.queries_keys_values.weight.detach().chunk(3)[:2]
        if kind == "gptj":
            for weight in queries_keys:
                weight.copy_(unweave(weight, model.config))
        if facts.get("scale_attn_by_inverse_layer_idx"):
            for piece in block.attention.queries_keys_values.parameters():
                piece.detach().chunk(3)[0].div_(layer + 1)  # dividing queries divides their products
    return model


def read_config(facts: Mapping[str, Any], kind: str) -> GPTConfig:
    """Our settings from a published configuration.

    Raises:
        MinigptError: a size is missing or cannot be, or there is an activation or a kind of attention that we do not
            know.
    """
    ours = GPT2 | DECODERS[kind].settings
    for setting, names in SETTINGS.items():
        needed = setting in list(SETTINGS)[:5] or (kind, setting) == ("gptj", "rotary_width")
        if needed or any(facts.get(name) is not None for name in names):
            kind_of = {"norm_epsilon": float, "tied_embeddings": bool}
            ours[setting] = read_setting(facts, *names, kind=kind_of.get(setting, int))
    known = ACTIVATIONS | ({"gelu": "gelu_tanh"} if kind == "openai-gpt" else {})  # GPT-1 calls the approximation so
    activation = facts.get("afn" if kind == "openai-gpt" else "activation_function")
    if activation is not None:
        if activation not in list(known):
            raise MinigptError(f"config.json sets the activation {activation!r}; minigpt has {', '.join(known)}")
        ours["activation"] = known[activation]
    if facts.get("scale_attn_weights") is False:
        ours["attention_scale"] = 1.0
    window = {"global": 0, "local": read_setting(facts, "window_size", default=256)}
    layers, types = facts.get("attention_layers"), facts.get("attention_types") or []
    try:
        ours["windows"] = [window[layer] for layer in layers or [one for some, n in types for one in list(some) * n]]
    except (KeyError, TypeError, ValueError):
        raise MinigptError(
            f"config.json lists attention_layers {layers or types}; each must be global or local"
        ) from None
    if kind == "gpt_neo" and not ours["windows"]:
        raise MinigptError("config.json lacks 'attention_layers', which says where a GPT-Neo has windows")
    if kind == "ctrl":
        ours["norm_epsilon"] = 1e-6  # of its blocks, whatever the configuration says
    return GPTConfig(**ours)


def unweave(weight: Tensor, config: GPTConfig) -> Tensor:
    """Put the pairs that GPT-J turns, which are neighbours, where ours are: (i, i + n). Products stay the same."""
    order = torch.arange(config.head_width)
    turned = order[: config.turned_width]
    order[: config.turned_width] = torch.cat([turned[0::2], turned[1::2]])
    return weight.view(config.n_heads, config.head_width, -1)[:, order].flatten(0, 1)


def places(model: nn.Module, names: Names, transposed: bool = False) -> dict[str, Tensor]:
    """Where each tensor of the published files belongs: a view of one of our parameters.

    Args:
        model: ours.
        names: what the files call its parts; three names for what they hold in three pieces.
        transposed: whether the matrices of the blocks stand the other way round.
    """
    part = re.compile(r"\b(" + "|".join(map(re.escape, sorted(names, key=len, reverse=True))) + r")\b")
    found = {}
    for ours, parameter in model.named_parameters():
        published = [names[name] for name in part.findall(ours)]
        pieces = next((len(name) for name in published if isinstance(name, tuple)), 1)
        for piece, view in enumerate(parameter.detach().chunk(pieces)):
            rest = iter([name[piece] if isinstance(name, tuple) else name for name in published])
            name = part.sub(lambda match, rest=rest: next(rest), ours)
            found[name] = view.t() if transposed and "blocks" in ours and view.ndim == 2 else view
    return found


def fill(places: dict[str, Tensor], folder: Path, tied: bool = False) -> None:
    """Put the tensors of a folder into their places.

    Args:
        places: by published name.
        folder: with the weights.
        tied: pass over a stored head, which is the embedding once more.

    Raises:
        MinigptError: a tensor is missing, surplus or of another shape.
    """
    left = dict(places)
    for path, name, tensor in stored_tensors(folder):
        name = name.removeprefix("transformer.")
        if name.endswith((".attn.bias", ".attention.bias", ".masked_bias")) or (tied and name in TIED):
            continue  # causal masks need no storing
        if name not in left:
            raise MinigptError(f"{path} has a tensor {name}, which a model of this config.json has no place for")
        place = left.pop(name)
        if tensor.shape != place.shape:
            raise MinigptError(
                f"{path} holds {name} with the shape {tuple(tensor.shape)}, but by config.json it is"
                f" {tuple(place.shape)}: take both files from one place"
            )
        place.copy_(tensor)
    if left:
        raise MinigptError(f"{folder} lacks the tensor {min(left)}: is config.json another model's?")


def stored_tensors(folder: Path) -> Iterator[tuple[Path, str, Tensor]]:
    """All tensors of a folder, one after the other: the file, the name, the values."""
    for path in weight_files(folder):
        yield from ((path, name, tensor) for name, tensor in tensors_of(path))


def weight_files(folder: Path) -> list[Path]:
    """The files with the weights.

    Raises:
        MinigptError: there are none, or a shard is missing.
    """
    for single in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{single}.index.json"
        if index.exists():
            return [folder / shard for shard in shards_of(index)]
        if (folder / single).exists():
            return [folder / single]
    raise MinigptError(f"{folder} has no model.safetensors (nor pytorch_model.bin): check the path, or fetch it again")


def shards_of(index: Path) -> list[str]:
    """The files among which an index divides the tensors.

    Raises:
        MinigptError: the index is damaged, or names a file that is not beside it.
    """
    try:
        shards = sorted(set(read_json(index)["weight_map"].values()))
        missing = [shard for shard in shards if Path(shard).name != shard or not (index.parent / shard).is_file()]
    except (AttributeError, KeyError, TypeError) as error:
        raise MinigptError(f"{index} is damaged ({type(error).__name__}: {error}): fetch it again") from None
    if missing:
        raise MinigptError(f"{index} names {missing[0]}, which is not in {index.parent}: fetch that file, too")
    return shards


def tensors_of(path: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of one file, read one at a time where the format allows it."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (it is no dict)
                    yield name, file.get_tensor(name)
        else:
            stored = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
            if not isinstance(stored, dict) or not all(isinstance(tensor, Tensor) for tensor in stored.values()):
                raise pickle.UnpicklingError
            yield from stored.items()
    except pickle.UnpicklingError:
        raise MinigptError(
            f"{path} is damaged, or holds more than tensors, which could be code: minigpt never runs it; look for the"
            " model as model.safetensors"
        ) from None
    except (SafetensorError, OSError, RuntimeError, EOFError) as error:
        raise MinigptError(f"{path} cannot be read ({error}): check the path, or fetch it again") from None


@torch.no_grad()
def export(model: GPT, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a GPT of GPT-2's recipe in GPT-2's published layout, with its tokeniser.

    Raises:
        MinigptError: the model is of another recipe, for which there is no published layout.
    """
    config = model.config
    other = [name for name, value in GPT2.items() if getattr(config, name) != value and name != "tied_embeddings"]
    if other:
        raise MinigptError(
            f"this model's {other[0]} is {getattr(config, other[0])!r}, which GPT-2's layout cannot say: train one"
            " with  minigpt train --recipe gpt2"
        )
    facts = {names[0]: getattr(config, ours) for ours, names in SETTINGS.items() if ours != "rotary_width"}
    facts |= {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new"}
    facts |= {"bos_token_id": tokenizer.end_of_text, "eos_token_id": tokenizer.end_of_text}
    tensors = {
        name if name == "lm_head.weight" else f"transformer.{name}": place.contiguous()
        for name, place in places(model, GPT2_NAMES, transposed=True).items()
    }
    write_json(folder / "config.json", facts)
    with replacing(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    save_tokenizer(tokenizer, folder / "tokenizer.json")
