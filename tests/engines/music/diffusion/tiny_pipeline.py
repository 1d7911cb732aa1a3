"""A tiny random pipeline in ACE-Step's layout: the real classes, whose music is noise. Needs the extra `music`."""

from pathlib import Path
from typing import Any

RATE = 8000
_LATENT = 8  # values of a latent frame
_FRAME = 320  # samples
_WIDTH = 32
_HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}


def make(folder: Path) -> dict[str, Path]:
    """Write the pipeline; return its files by role."""
    import torch
    from diffusers import (
        AceStepPipeline,
        AceStepTransformer1DModel,
        AutoencoderOobleck,
        FlowMatchEulerDiscreteScheduler,
    )
    from diffusers.pipelines.ace_step.modeling_ace_step import AceStepConditionEncoder

    torch.manual_seed(1)
    pipeline = AceStepPipeline(
        vae=AutoencoderOobleck(
            encoder_hidden_size=8,
            downsampling_ratios=[4, 8, 10],
            channel_multiples=[1, 1, 1],
            decoder_channels=8,
            decoder_input_channels=_LATENT,
            audio_channels=2,
            sampling_rate=RATE,
        ),
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(),
        transformer=AceStepTransformer1DModel(
            hidden_size=_WIDTH,
            intermediate_size=_WIDTH,
            num_hidden_layers=2,
            in_channels=3 * _LATENT,
            audio_acoustic_hidden_dim=_LATENT,
            is_turbo=True,
            **_HEADS,
        ),
        condition_encoder=AceStepConditionEncoder(
            hidden_size=_WIDTH,
            intermediate_size=_WIDTH,
            text_hidden_dim=_WIDTH,
            timbre_hidden_dim=_LATENT,
            num_lyric_encoder_hidden_layers=1,
            num_timbre_encoder_hidden_layers=1,
            **_HEADS,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    )
    pipeline.save_pretrained(folder)
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {f"pipeline/{path.relative_to(folder).as_posix()}": path for path in files}


def _text_encoder() -> Any:
    from transformers import Qwen3Config, Qwen3Model

    config = Qwen3Config(
        vocab_size=300,
        hidden_size=_WIDTH,
        intermediate_size=_WIDTH,
        num_hidden_layers=1,
        max_position_embeddings=4096,
        **_HEADS,
    )
    return Qwen3Model(config)


def _tokenizer() -> Any:
    """One token a byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|endoftext|>": 0, **{character: index for index, character in enumerate(alphabet, 1)}}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|endoftext|>")
