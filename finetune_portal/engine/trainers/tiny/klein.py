"""Make a tiny FLUX.2 klein of random weights: `python -m finetune_portal.engine.trainers.tiny.klein FOLDER`.

It has the classes of the base 4B, 27 layers of text encoder because the pipeline reads the ninth, eighteenth
and last of them, and a tokenizer that spells bytes. It was trained on nothing and edits nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

NAME = "finetune-portal/tiny-klein"
SIDE = 112  # pixels: the side of a square as large as the images of a training
LATENTS = 8
TEXT, LAYERS = 32, 27  # width and depth of the text encoder
HEADS, HEAD = 4, 16  # of the transformer
START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
CHAT = (
    "{% for message in messages %}" + START + "{{ message.role }}\n{{ message.content }}" + END + "\n"
    "{% endfor %}" + START + "assistant\n"
)


def pipeline() -> Flux2KleinPipeline:
    spelling = tokenizer()
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 16, 16),
            layers_per_block=1,
            latent_channels=LATENTS,
            norm_num_groups=4,
            sample_size=SIDE,
            mid_block_add_attention=False,
        ),
        text_encoder=Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(spelling),
                hidden_size=TEXT,
                intermediate_size=TEXT,
                num_hidden_layers=LAYERS,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=TEXT // 2,
                tie_word_embeddings=True,
            )
        ),
        tokenizer=spelling,
        transformer=transformer(),
    )


def transformer() -> Flux2Transformer2DModel:
    model = Flux2Transformer2DModel(
        in_channels=LATENTS * 4,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=HEAD,
        num_attention_heads=HEADS,
        joint_attention_dim=3 * TEXT,
        timestep_guidance_channels=32,
        mlp_ratio=2.0,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    model.register_to_config(_name_or_path=NAME)
    return model


def tokenizer() -> Qwen2Tokenizer:
    """One token for each byte, and three marks."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), PAD, START, END]
    spelling = Qwen2Tokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[],
        model_max_length=512,
        additional_special_tokens=[START, END],
    )
    spelling.chat_template = CHAT
    return spelling


if __name__ == "__main__":
    torch.manual_seed(0)
    pipeline().save_pretrained(Path(sys.argv[1]))
