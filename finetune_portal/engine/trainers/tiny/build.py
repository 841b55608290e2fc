"""The classes of FLUX.1-Kontext in a tiny configuration, with tokenizers of a few words."""

from __future__ import annotations

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxTransformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from finetune_portal.engine.trainers.tiny import autoencoder, edits

NAME = "finetune-portal/tiny-kontext"
SIDE = 112  # pixels: the side of a square as large as the images that the model is trained on
TEXT = 64  # width of the text encoders
TOKENS = 24  # of an instruction
SHIFT = 1.15  # of the schedule of a sample, as with FLUX at 1024 pixels
MORE_WORDS = """
    draw in middle frame around it cut out white card object paper black invert colours tint
    darker brighter
""".split()  # noqa: SIM905  to be read
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def pipeline() -> FluxKontextPipeline:
    """The whole pipeline with random weights; pretrain.py trains the autoencoder and the transformer."""
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    return FluxKontextPipeline(
        scheduler=scheduler(),
        vae=autoencoder.build_autoencoder(SIDE),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(clip),
                hidden_size=TEXT,
                intermediate_size=TEXT * 2,
                num_hidden_layers=1,
                num_attention_heads=2,
                bos_token_id=clip.bos_token_id,
                eos_token_id=clip.eos_token_id,
                pad_token_id=clip.pad_token_id,
            )
        ),
        tokenizer=clip,
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(t5), d_model=TEXT, d_kv=32, d_ff=TEXT * 2, num_layers=1, num_heads=2)
        ),
        tokenizer_2=t5,
        transformer=transformer(),
    )


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_shift=SHIFT, max_shift=SHIFT
    )


def transformer() -> FluxTransformer2DModel:
    model = FluxTransformer2DModel(
        in_channels=autoencoder.LATENTS * 4,
        num_layers=2,
        num_single_layers=5,
        attention_head_dim=32,
        num_attention_heads=4,
        joint_attention_dim=TEXT,
        pooled_projection_dim=TEXT,
        guidance_embeds=True,
        axes_dims_rope=(8, 12, 12),
    )
    model.register_to_config(_name_or_path=NAME)
    # The usual start of a diffusion transformer: each block changes nothing yet, and the output is 0.
    for name, parameter in model.named_parameters():
        if name.startswith("proj_out.") or (".norm" in name and ".linear." in name):
            torch.nn.init.zeros_(parameter)
    return model


def clip_tokenizer() -> CLIPTokenizer:
    """A tokenizer that spells: one token for each byte, and one for each letter that ends a word."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*alphabet, *(f"{letter}</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=77)


def t5_tokenizer() -> T5Tokenizer:
    """A tokenizer with one token for each word of the drawn edits. It spells any other word."""
    words = dict.fromkeys([*edits.WORDS, *edits.COLOURS, *edits.SHAPES, *MORE_WORDS])
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0)]
    vocab += [(f"▁{word}", -2.0) for word in words if len(word) > 1]
    vocab += [(letter, -8.0) for letter in LETTERS]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=TOKENS)
