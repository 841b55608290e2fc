"""Make a tiny Qwen-Image-Edit: `python -m finetune_portal.engine.trainers.tiny.qwen FOLDER`.

Its weights are random: it was trained on nothing and edits nothing. It has the classes of 2511, whose switch
it turns on, and a tokenizer that spells bytes. Like the model of full size it sees each input image in about
1024 x 1024 pixels, which takes a CPU seconds a step.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
)

NAME = "finetune-portal/tiny-qwen-image-edit"
LATENTS = 4
TEXT = 32  # width of the text encoder
HEADS, HEAD = 4, 16  # of the transformer
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE, VIDEO = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def save(pipe: QwenImageEditPlusPipeline, folder: Path) -> None:
    pipe.save_pretrained(folder)
    Qwen2VLImageProcessorPil().save_pretrained(folder / "processor")


def pipeline() -> QwenImageEditPlusPipeline:
    """Without its processor, which needs torchvision."""
    spelling = tokenizer()
    return QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.5,
            max_shift=0.9,
            base_image_seq_len=256,
            max_image_seq_len=8192,
            shift_terminal=0.02,
        ),
        vae=AutoencoderKLQwenImage(
            base_dim=4,
            z_dim=LATENTS,
            num_res_blocks=1,
            latents_mean=[0.1 * number for number in range(LATENTS)],
            latents_std=[1.0 + 0.5 * number for number in range(LATENTS)],
        ),
        text_encoder=text_encoder(spelling),
        tokenizer=spelling,
        processor=None,
        transformer=transformer(),
    )


def text_encoder(spelling: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    ids = {
        name: spelling.convert_tokens_to_ids(piece)
        for name, piece in (
            ("image_token_id", IMAGE),
            ("video_token_id", VIDEO),
            ("vision_start_token_id", VISION_START),
            ("vision_end_token_id", VISION_END),
        )
    }
    text = {
        "vocab_size": len(spelling),
        "hidden_size": TEXT,
        "intermediate_size": TEXT,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
    }
    vision = {
        "depth": 2,
        "hidden_size": TEXT,
        "intermediate_size": TEXT,
        "num_heads": 2,
        "out_hidden_size": TEXT,
        "fullatt_block_indexes": [1],
    }
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **ids)
    )


def transformer() -> QwenImageTransformer2DModel:
    model = QwenImageTransformer2DModel(
        in_channels=LATENTS * 4,
        out_channels=LATENTS,
        num_layers=2,
        attention_head_dim=HEAD,
        num_attention_heads=HEADS,
        joint_attention_dim=TEXT,
        axes_dims_rope=(4, 6, 6),
        zero_cond_t=True,
    )
    model.register_to_config(_name_or_path=NAME)
    return model


def tokenizer() -> Qwen2Tokenizer:
    """One token for each byte, and the marks of messages and images."""
    marks = [START, END, VISION_START, VISION_END, IMAGE, VIDEO]
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), PAD, *marks]
    return Qwen2Tokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[],
        additional_special_tokens=marks,
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    save(pipeline(), Path(sys.argv[1]))
