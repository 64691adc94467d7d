"""Make the tiny checkpoints of data/family-tiny: published layouts, random weights, and what `transformers` computes.

    python tools/tiny_checkpoints.py

Needs the extra `reference`. Chapters 13 and 14 load them, and compare.
"""

from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent.parent / "data" / "family-tiny"
GPT2 = {"vocab_size": 61, "n_positions": 24, "n_layer": 2, "n_head": 2, "n_embd": 16}
MODELS = {
    "gpt1": ("OpenAIGPTLMHeadModel", "OpenAIGPTConfig", GPT2),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        {
            "vocab_size": 61, "max_position_embeddings": 24, "num_layers": 2, "num_heads": 2, "hidden_size": 16,
            "attention_types": [[["global", "local"], 1]], "window_size": 6,
        },
    ),
    "gptj": ("GPTJForCausalLM", "GPTJConfig", {**GPT2, "rotary_dim": 4}),
    "ctrl": ("CTRLLMHeadModel", "CTRLConfig", {**GPT2, "dff": 40}),
    "xlnet": (
        "XLNetLMHeadModel", "XLNetConfig", {"vocab_size": 61, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 40},
    ),
    "t5": (
        "T5ForConditionalGeneration",
        "T5Config",
        {
            "vocab_size": 61, "d_model": 16, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 2,
            "decoder_start_token_id": 0, "feed_forward_proj": "gated-gelu",
        },
    ),
}  # fmt: skip


@torch.no_grad()
def main() -> None:
    for seed, (name, (model_class, config_class, sizes)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        model = getattr(transformers, model_class)(getattr(transformers, config_class)(**sizes)).eval()
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
        ids = torch.randint(1, 61, (2, 12))
        given = {"decoder_input_ids": ids[:, :7]} if name == "t5" else {}
        model.save_pretrained(FOLDER / name)
        (FOLDER / name / "generation_config.json").unlink(missing_ok=True)
        expected = {"input_ids": ids, "logits": model(input_ids=ids, **given).logits, **given}
        save_file({key: value.contiguous() for key, value in expected.items()}, FOLDER / name / "expected.safetensors")


if __name__ == "__main__":
    main()
