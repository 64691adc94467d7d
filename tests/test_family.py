"""Tests of published checkpoints: those that lie ready, new ones of Hugging Face's, and broken ones."""

import json
import math
import pickle
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import minigpt
from minigpt.cli import main
from minigpt.errors import MinigptError
from minigpt.family import DECODERS, export, load
from minigpt.sampling import Sampler, complete
from minigpt.tokenizer_files import published_tokenizer
from minigpt.tokenizers import ByteTokenizer
from minigpt.transformer import GPT, GPT2, GPTConfig

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "data" / "gpt2-tiny"
GOLDEN = ROOT.parent / "shared" / "golden"
CAUSAL = ["gpt1", "gpt2", "gpt2_hub_layout", "gpt2_untied", "gpt3", "gpt_neo", "gptj", "ctrl", "gpt2_chinese"]
EXACT = 2e-4  # the largest difference of logits that float32 allows (../shared/golden/README.md)


def golden(name):
    folder = GOLDEN / name
    if not folder.exists():
        pytest.skip(f"the golden checkpoints are not at {GOLDEN}")
    return load(folder)[0], load_file(folder / "golden.safetensors"), json.loads((folder / "golden.json").read_text())


# Beside others


def test_the_package_loads_the_tiny_gpt2():
    model, tokenizer = minigpt.load(TINY)
    expected = load_file(TINY / "expected.safetensors")
    assert tokenizer is None
    assert (model(expected["input_ids"]) - expected["logits"]).abs().max() < EXACT


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
def test_published_logits_and_losses(name):
    model, tensors, facts = golden(name)
    ids, real = tensors["input_ids"], tensors["attention_mask"].bool()
    logits = model(ids)
    assert (logits - tensors["logits"])[real].abs().max() < EXACT
    for row, length in enumerate(facts["lengths"]):
        alone = model(ids[row : row + 1, :length])
        assert (alone - tensors["logits"][row, :length]).abs().max() < EXACT
        loss = F.cross_entropy(logits[row, : length - 1], ids[row, 1:length])
        assert loss.item() == pytest.approx(facts["loss_per_sequence"][row], abs=1e-5)
    for loss, labels in (("loss_batch", "labels"), ("loss_partial", "labels_partial")):
        found = F.cross_entropy(logits[:, :-1].flatten(0, 1), tensors[labels][:, 1:].flatten())
        assert found.item() == pytest.approx(facts[loss], abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", CAUSAL)
def test_published_greedy_tokens_with_and_without_a_cache(name):
    model, _, facts = golden(name)
    for case in facts["greedy"]:
        prompt = torch.tensor([case["prompt"]])
        assert complete(model, prompt, 20, Sampler(temperature=0))[0].tolist() == case["continuation"]
        ids = prompt
        for _ in range(20):
            ids = torch.cat([ids, model(ids)[:, -1:].argmax(dim=-1)], dim=1)
        assert ids[0, prompt.shape[1] :].tolist() == case["continuation"]


def test_the_ids_of_gpt2_chinese():
    if not GOLDEN.exists():
        pytest.skip(f"the golden checkpoints are not at {GOLDEN}")
    _, tokenizer = load(GOLDEN / "gpt2_chinese")
    facts = json.loads((GOLDEN / "gpt2_chinese" / "golden.json").read_text())
    assert [tokenizer.encode(text) for text in facts["texts"]] == facts["text_ids"]


FRESH = {
    "openai-gpt": ("OpenAIGPT", {"n_positions": 20, "n_layer": 3, "n_head": 2, "n_embd": 12, "afn": "relu"}),
    "gpt2": ("GPT2", {"n_positions": 20, "n_layer": 2, "n_head": 3, "n_embd": 12, "activation_function": "gelu"}),
    "gpt2-layers": (
        "GPT2",
        {"n_positions": 20, "n_layer": 3, "n_head": 3, "n_embd": 12, "scale_attn_by_inverse_layer_idx": True},
    ),
    "gpt2-unscaled": (
        "GPT2",
        {"n_positions": 20, "n_layer": 1, "n_head": 2, "n_embd": 12, "scale_attn_weights": False, "n_inner": 17},
    ),
    "gpt_neo": (
        "GPTNeo",
        {
            "max_position_embeddings": 20, "num_layers": 3, "num_heads": 3, "hidden_size": 12, "window_size": 4,
            "attention_types": [[["local", "global", "local"], 1]], "intermediate_size": 30,
        },
    ),
    "gptj": ("GPTJ", {"n_positions": 20, "n_layer": 2, "n_head": 2, "n_embd": 24, "rotary_dim": 8}),
    "ctrl": ("CTRL", {"n_positions": 20, "n_layer": 2, "n_head": 3, "n_embd": 12, "dff": 20}),
    "ctrl-epsilon": (
        "CTRL", {"n_positions": 20, "n_layer": 1, "n_head": 1, "n_embd": 4, "dff": 9, "layer_norm_epsilon": 0.1}
    ),
}  # fmt: skip


def fresh_checkpoint(name, folder, **more):
    """A random model of Hugging Face's, saved; with norms and biases that are random, too."""
    transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'reference'")
    kind, sizes = FRESH[name]
    head = {"GPT2": "LMHeadModel", "OpenAIGPT": "LMHeadModel", "CTRL": "LMHeadModel"}.get(kind, "ForCausalLM")
    torch.manual_seed(len(name))
    config = getattr(transformers, f"{kind}Config")(vocab_size=61, **sizes)
    theirs = getattr(transformers, kind + head)(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(std=0.3)
    theirs.save_pretrained(folder, **more)
    return theirs


@torch.no_grad()
@pytest.mark.parametrize("name", FRESH)
def test_new_checkpoints_of_hugging_face(name, tmp_path):
    theirs = fresh_checkpoint(name, tmp_path)
    ids = torch.randint(61, (3, 20))
    ours, _ = load(tmp_path)
    torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=EXACT, rtol=0)
    prompt = ids[:, :5]
    written = complete(ours, prompt, 10, Sampler(temperature=0))
    expected = theirs.generate(prompt, max_new_tokens=10, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert torch.equal(written, expected[:, 5:])


@torch.no_grad()
def test_shards_and_a_pickle_give_the_same(tmp_path):
    theirs = fresh_checkpoint("gptj", tmp_path / "shards", max_shard_size="8KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    fresh_checkpoint("gptj", tmp_path / "whole")
    (tmp_path / "whole" / "model.safetensors").unlink()
    ids = torch.randint(61, (2, 9))
    for zipped in (True, False):
        torch.save(theirs.state_dict(), tmp_path / "whole" / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        for folder in ("shards", "whole"):
            assert (load(tmp_path / folder)[0](ids) - theirs(ids).logits).abs().max() < EXACT


PEAK = """
import re, sys
from minigpt.family import load
peak = lambda: int(re.search("VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
before = peak()
load(sys.argv[1])
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell the peak in /proc")
def test_loading_takes_no_more_memory_than_the_weights_and_one_shard(tmp_path):
    model = GPT(GPTConfig(20_000, 256, 8, 8, 512, **GPT2))
    export(model, ByteTokenizer(), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "tokenizer.json").unlink()
    shards = {name: f"model-{number * 4 // len(tensors) + 1}-of-4.safetensors" for number, name in enumerate(tensors)}
    for shard in set(shards.values()):
        save_file({name: tensors[name] for name in tensors if shards[name] == shard}, tmp_path / shard)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    done = subprocess.run([sys.executable, "-c", PEAK, tmp_path], capture_output=True, encoding="utf-8", check=True)
    weights = sum(tensor.nbytes for tensor in tensors.values())
    shard = max(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    assert weights < int(done.stdout) * 1024 < 1.1 * (weights + shard)


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_what_we_export_hugging_face_loads(tied, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'reference'")
    tokenizer = ByteTokenizer()
    torch.manual_seed(0)
    config = GPTConfig(tokenizer.vocabulary_size, 24, 2, 3, 12, **GPT2 | {"tied_embeddings": tied})
    ours = GPT(config)
    for parameter in ours.parameters():
        parameter.normal_(std=0.3)
    export(ours, tokenizer, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    text = "The kite, 风筝!"
    ids = torch.tensor([tokenizer.encode(text)])
    torch.testing.assert_close(theirs(ids).logits, ours(ids), atol=EXACT, rtol=0)
    assert transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))(text).input_ids == (
        ids[0].tolist()
    )
    again, same = load(tmp_path)
    assert torch.equal(again(ids), ours(ids))
    assert same.encode(text) == ids[0].tolist()


def test_only_gpt2s_recipe_is_exported(tmp_path):
    with pytest.raises(MinigptError, match="positions is 'rotary', which GPT-2's layout cannot say: .* --recipe gpt2"):
        export(GPT(GPTConfig(257, 24, 2, 3, 12)), ByteTokenizer(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", DECODERS)
def test_settings_of_each_decoder_differ_from_gpt2s_where_the_papers_say(name):
    differ = {key for key, value in DECODERS[name].settings.items() if GPT2.get(key) != value}
    assert (
        differ
        == {
            "openai-gpt": {"norm_first"},
            "gpt2": set(),
            "gpt3": set(),
            "gpt_neo": {"attention_scale", "attention_biases"},
            "gptj": {"positions", "parallel", "attention_biases", "head_bias", "tied_embeddings"},
            "ctrl": {"positions", "activation", "head_bias", "norm_epsilon"},
        }[name]
    )


# What is broken is refused


def copy_of_tiny(folder, settings=(), change=None):
    """The tiny GPT-2 with some settings, and the dictionary of its tensors, changed."""
    facts = json.loads((TINY / "config.json").read_text()) | dict(settings)
    (folder / "config.json").write_text(json.dumps({name: value for name, value in facts.items() if value != "gone"}))
    tensors = load_file(TINY / "model.safetensors")
    (change or dict)(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


def hub_layout(tensors):
    for name in list(tensors):
        tensors[name.removeprefix("transformer.")] = tensors.pop(name)
    for layer in range(3):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 44, 44).tril()
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    tensors["lm_head.weight"] = tensors["wte.weight"].clone()


def test_other_layouts_of_the_same_checkpoint_give_the_same_logits(tmp_path):
    ids = torch.arange(44)[None]
    assert torch.equal(load(copy_of_tiny(tmp_path, change=hub_layout))[0](ids), load(TINY)[0](ids))


C_ATTN = "transformer.h.1.attn.c_attn.weight"


@pytest.mark.parametrize(
    ("settings", "change", "complaint"),
    [
        ({}, lambda t: t.pop(C_ATTN), r"lacks the tensor h\.1\.attn\.c_attn\.weight"),
        ({}, lambda t: t.update({"transformer.h.0.extra": torch.ones(1)}), r"has a tensor h\.0\.extra"),
        ({}, lambda t: t.update({C_ATTN: t[C_ATTN].T.contiguous()}), r"c_attn\.weight with the shape \(90, 30\), but"),
        ({"n_layer": 2}, None, r"has a tensor h\.2\.\S+, which a model of this config\.json has no place for"),
        ({"tie_word_embeddings": False}, None, r"lacks the tensor lm_head\.weight"),
        ({"activation_function": "swish"}, None, "sets the activation 'swish'; minigpt has gelu_new"),
        ({"model_type": "mamba"}, None, "of the architecture 'mamba'; minigpt reads openai-gpt, gpt2"),
        ({"model_type": "gone", "n_embd": "gone"}, None, "of the architecture None"),
        ({"n_embd": "gone"}, None, "lacks 'n_embd'"),
        ({"n_embd": "many"}, None, "sets n_embd to 'many', which cannot be"),
        ({"n_layer": 2.5}, None, r"sets n_layer to 2\.5, which cannot be"),
        ({"n_layer": 0}, None, "sets n_layer to 0, which cannot be"),
        ({"n_inner": -1}, None, "sets n_inner to -1, which cannot be"),
        ({"n_positions": True}, None, "sets n_positions to True, which cannot be"),
        ({"vocab_size": 10**12}, None, "sets vocab_size to 1000000000000, which cannot be"),
        ({"layer_norm_epsilon": math.nan}, None, "sets layer_norm_epsilon to nan, which cannot be"),
        ({"model_type": []}, None, r"of the architecture \[\]"),
        ({"attention_layers": 3}, None, "lists attention_layers 3; each must be global or local"),
        ({"attention_layers": ["global", "sideways", "local"]}, None, "each must be global or local"),
        ({"attention_layers": ["local"]}, None, "windows are .* 3 layers"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(settings, change, complaint, tmp_path):
    with pytest.raises(MinigptError, match=complaint):
        load(copy_of_tiny(tmp_path, settings, change))


def test_what_a_gpt_neo_and_a_gptj_must_say(tmp_path):
    theirs = fresh_checkpoint("gpt_neo", tmp_path / "neo")
    facts = json.loads((tmp_path / "neo" / "config.json").read_text())
    del facts["attention_layers"]
    (tmp_path / "neo" / "config.json").write_text(json.dumps(facts))
    ids = torch.randint(61, (2, 20))
    with torch.inference_mode():
        assert (load(tmp_path / "neo")[0](ids) - theirs(ids).logits).abs().max() < EXACT
    del facts["attention_types"]
    (tmp_path / "neo" / "config.json").write_text(json.dumps(facts))
    with pytest.raises(MinigptError, match="lacks 'attention_layers'"):
        load(tmp_path / "neo")
    fresh_checkpoint("gptj", tmp_path / "gptj")
    facts = json.loads((tmp_path / "gptj" / "config.json").read_text())
    (tmp_path / "gptj" / "config.json").write_text(json.dumps(facts | {"rotary_dim": None}))
    with pytest.raises(MinigptError, match="lacks 'rotary_dim'"):
        load(tmp_path / "gptj")


def test_weights_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    memory = psutil.virtual_memory()._replace(available=20_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(MinigptError, match=r"take 0\.0 GB of memory or more, and 0\.0 GB are free"):
        load(TINY)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=10**9))
    load(TINY)


def test_a_checkpoint_that_is_missing_or_damaged_is_refused(tmp_path):
    with pytest.raises(MinigptError, match=r"there is no file .*config\.json"):
        load(tmp_path)
    weights = copy_of_tiny(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(MinigptError, match=r"model\.safetensors cannot be read"):
        load(tmp_path)
    weights.unlink()
    with pytest.raises(MinigptError, match=r"has no model\.safetensors \(nor pytorch_model\.bin\)"):
        load(tmp_path)


@pytest.mark.parametrize("shard", ["elsewhere.safetensors", "../model.safetensors"])
def test_an_index_that_points_nowhere(shard, tmp_path):
    (tmp_path / "folder").mkdir()
    copy_of_tiny(tmp_path / "folder").joinpath("model.safetensors").rename(tmp_path / "model.safetensors")
    index = {"weight_map": {C_ATTN: shard}}
    (tmp_path / "folder" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(MinigptError, match="index.json names .*model.safetensors|index.json names elsewhere"):
        load(tmp_path / "folder")


@pytest.mark.parametrize("value", [[], {}, {"weight_map": [1]}, {"weight_map": {C_ATTN: 3}}], ids=str)
def test_an_index_that_is_damaged(value, tmp_path):
    copy_of_tiny(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(value))
    with pytest.raises(MinigptError, match=r"index\.json is damaged"):
        load(tmp_path)


def test_shards_may_be_links_as_in_the_cache_of_hugging_face(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    copy_of_tiny(tmp_path / "snapshot").joinpath("model.safetensors").rename(tmp_path / "blobs" / "1")
    (tmp_path / "snapshot" / "model-1.safetensors").symlink_to(tmp_path / "blobs" / "1")
    index = {"weight_map": dict.fromkeys(load_file(TINY / "model.safetensors"), "model-1.safetensors")}
    (tmp_path / "snapshot" / "model.safetensors.index.json").write_text(json.dumps(index))
    ids = torch.arange(44)[None]
    assert torch.equal(load(tmp_path / "snapshot")[0](ids), load(TINY)[0](ids))


class Trap:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_with_code_in_it_is_refused_and_not_run(plain, tmp_path):
    trap = Trap()
    trap.path = str(tmp_path / "sprung")
    copy_of_tiny(tmp_path).joinpath("model.safetensors").unlink()
    path = tmp_path / "pytorch_model.bin"
    if plain:
        path.write_bytes(pickle.dumps({"wte.weight": trap}, 2))
    else:
        torch.save({"wte.weight": trap}, path)
    with pytest.raises(MinigptError, match=r"pytorch_model\.bin is damaged, or holds more than tensors"):
        load(tmp_path)
    assert not Path(trap.path).exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", [1, 2], {"wte.weight": 3}], ids=str)
def test_a_pickle_that_holds_no_tensors(content, tmp_path):
    copy_of_tiny(tmp_path).joinpath("model.safetensors").unlink()
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(MinigptError, match=r"pytorch_model\.bin (is damaged|cannot be read)"):
        load(tmp_path)


# Tokenisers of other kinds -------------------------------------------------------------------------------------------

TEXT = "one tale of two cats and three dogs. The cats told the dogs one tale; the dogs told the cats two."


def unigram():
    """A tokeniser as T5 and XLNet have it, trained on a few words."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is in the extra 'course'")
    library = tokenizers.Tokenizer(tokenizers.models.Unigram())
    library.pre_tokenizer, library.decoder = tokenizers.pre_tokenizers.Metaspace(), tokenizers.decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>", "<extra_id_0>"]
    trainer = tokenizers.trainers.UnigramTrainer(vocab_size=50, special_tokens=special, unk_token="<unk>")
    library.train_from_iterator([TEXT], trainer)
    return library


def words_with_ends():
    """A tokeniser as GPT-1 has it: lower case, and a mark where a word ends."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is in the extra 'course'")
    library = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    library.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    library.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    library.decoder = tokenizers.decoders.BPEDecoder(suffix="</w>")
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=60, special_tokens=["<unk>"], end_of_word_suffix="</w>")
    library.train_from_iterator([TEXT], trainer)
    return library


def written_by(folder, *options):
    """What `minigpt sample` writes."""
    result = CliRunner().invoke(
        main, ["sample", "--model", str(folder), "--temperature", "0", "--tokens", "8", *options]
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_a_t5_answers_the_prompt_with_its_own_tokeniser(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'reference'")
    library = unigram()
    torch.manual_seed(3)
    sizes = {
        "vocab_size": library.get_vocab_size(),
        "d_model": 12,
        "d_kv": 4,
        "d_ff": 20,
        "num_layers": 2,
        "num_heads": 3,
    }
    theirs = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, decoder_start_token_id=0)).eval()
    theirs.save_pretrained(tmp_path)
    library.save(str(tmp_path / "tokenizer.json"))
    source = library.encode("The cats <extra_id_0> the dogs").ids + [library.token_to_id("</s>")]
    assert library.token_to_id("<extra_id_0>") in source
    answer = theirs.generate(torch.tensor([source]), max_new_tokens=8, do_sample=False)[0, 1:].tolist()
    if library.token_to_id("</s>") in answer:
        answer = answer[: answer.index(library.token_to_id("</s>"))]
    _, ours = load(tmp_path)
    assert written_by(tmp_path, "--prompt", "The cats <extra_id_0> the dogs") == ours.decode(answer) + "\n"
    assert ours.decode(library.encode("The cats told").ids) == " The cats told"
    assert ours.end_of_text == library.token_to_id("</s>")


def test_a_gpt1_goes_on_with_its_own_tokeniser(tmp_path):
    theirs, library = fresh_checkpoint("openai-gpt", tmp_path), words_with_ends()
    library.save(str(tmp_path / "tokenizer.json"))
    prompt = library.encode("The cats told").ids
    expected = theirs.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False, pad_token_id=0)[0].tolist()
    _, ours = load(tmp_path)
    assert ours.end_of_text is None
    assert ours.encode("The cats told") == prompt
    assert written_by(tmp_path, "--prompt", "The cats told") == ours.decode(expected) + "\n"
    assert ours.decode(prompt) == "the cats told "
    refused = CliRunner().invoke(main, ["sample", "--model", str(tmp_path)])
    assert refused.exit_code != 0
    assert "give it a --prompt" in refused.output


def test_a_gpt1_without_its_tokenizer_json_loads_and_says_so(tmp_path):
    fresh_checkpoint("openai-gpt", tmp_path)
    (tmp_path / "vocab.json").write_text('{"<unk>": 0, "t": 1, "h": 2, "th</w>": 3}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\nt h</w>\n")
    assert load(tmp_path)[1] is None
    refused = CliRunner().invoke(main, ["sample", "--model", str(tmp_path)])
    assert refused.exit_code != 0
    assert "has no tokenizer.json" in refused.output


def test_ctrl_has_the_ids_of_hugging_face(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'reference'")
    merges = ["t h", "th e</w>", "c a", "t s</w>", "o l", "ol d</w>", "d o", "g s</w>", "do gs</w>", "e \n</w>"]
    pieces = [*"abcdefghijklmnopqrstuvwxyz.\n", *(merge.replace(" ", "") for merge in merges)]
    plain = [piece.removesuffix("</w>") for piece in pieces]
    tokens = ["<unk>", "Links", *dict.fromkeys([*plain, *(f"{piece}@@" for piece in pieces if "</w>" not in piece)])]
    (tmp_path / "vocab.json").write_text(json.dumps({token: id for id, token in enumerate(tokens)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    theirs = transformers.CTRLTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    ours = published_tokenizer(tmp_path)
    for text in ("the cats told the dogs", "a the\n dogs  Links é cats.", "x", ""):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False), text
    assert ours.decode(ours.encode("the cats told")) == "the cats told "


def test_a_model_goes_on_with_the_tokeniser_of_ctrl(tmp_path):
    fresh_checkpoint("ctrl", tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps({f"{n}": n for n in range(60)} | {"<unk>": 60, "1@@": 61}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n1 2\n")
    assert written_by(tmp_path, "--prompt", "3 4").startswith("3 4 ")


@pytest.mark.parametrize("content", ["", "{}", '{"model": {"type": "Unigram", "vocab": 3}}'])
def test_a_damaged_tokeniser_is_refused(content, tmp_path):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(MinigptError, match=r"tokenizer\.json"):
        published_tokenizer(tmp_path)
