"""The process that runs ACE-Step by diffusers: it loads a pipeline and generates recordings.

Knows nothing of requests and audio formats. Source: "ACE-Step 1.5", and `AceStepPipeline` of diffusers.
"""

from typing import Any

from homeport.engines.model_process import ReplyPipe, run_commands
from homeport.engines.music.diffusion.messages import (
    COMMANDS,
    Command,
    GenerateMusic,
    Interrupted,
    LoadModel,
    ModelLoaded,
    MusicDone,
    Refused,
    StepDone,
)

_STEPS = 8  # of the turbo model, and what diffusers takes for all
_MAX_PROMPT_TOKENS, _MAX_LYRICS_TOKENS = 256, 2048
"""What the pipeline reads. It drops what is longer without a word."""


class MusicWorker:
    """One loaded pipeline."""

    def __init__(self, command: LoadModel, replies: ReplyPipe) -> None:
        import diffusers
        import torch

        if command.threads:
            torch.set_num_threads(command.threads)
        self._torch = torch
        self._replies = replies
        self._device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        # Half precision everywhere: the weights come in it, and twice the memory buys nothing that can be heard.
        pipeline = diffusers.AceStepPipeline.from_pretrained(
            command.folder, local_files_only=True, dtype=torch.bfloat16
        )
        self._pipeline: Any = pipeline.to(self._device)
        self._pipeline.set_progress_bar_config(disable=True)
        libraries = f"diffusers {diffusers.__version__}, PyTorch {torch.__version__}"
        replies.send(ModelLoaded(f"{libraries}, {self._device}", int(self._pipeline.sample_rate)))

    def generate(self, command: GenerateMusic) -> None:
        """Generate a recording and send it, or why not. Raises what the library raises."""
        if refused := self._refuse(command):
            self._replies.send(refused)
            return
        audio = self._pipeline(
            prompt=command.prompt,
            lyrics=command.lyrics,
            vocal_language=command.language,
            audio_duration=command.seconds,
            num_inference_steps=_STEPS,
            bpm=command.bpm,
            keyscale=command.key or None,
            max_text_length=_MAX_PROMPT_TOKENS,
            max_lyric_length=_MAX_LYRICS_TOKENS,
            generator=self._torch.Generator(self._device).manual_seed(command.seed),
            callback_on_step_end=self._on_step,
        ).audios[0]
        if self._replies.is_interrupted:
            self._replies.send(Interrupted())
            return
        samples = audio.float().clamp(-1, 1).T.contiguous().cpu().numpy()
        self._replies.send(MusicDone(samples.shape[1], samples.tobytes()))

    def _refuse(self, command: GenerateMusic) -> Refused | None:
        text, lyrics = self._pipeline._format_prompt(  # noqa: SLF001 - the only way to count what it will read
            command.prompt, command.lyrics, command.language, command.seconds, bpm=command.bpm, keyscale=command.key
        )
        for param, content, limit in (("prompt", text, _MAX_PROMPT_TOKENS), ("lyrics", lyrics, _MAX_LYRICS_TOKENS)):
            if (count := len(self._pipeline.tokenizer(content).input_ids)) > limit:
                return Refused(param, f"It has {count} tokens with what describes it; this model reads {limit}.")
        return None

    def _on_step(self, pipeline: Any, step: int, _: Any, values: dict[str, Any]) -> dict[str, Any]:
        self._replies.send(StepDone(step + 1, _STEPS))
        pipeline._interrupt = self._replies.is_interrupted  # noqa: SLF001 - diffusers' documented way to stop
        return values


def _load(command: Command, replies: ReplyPipe) -> MusicWorker:
    if not isinstance(command, LoadModel):
        raise TypeError("The first command must load a model.")
    return MusicWorker(command, replies)


def _run(worker: MusicWorker, command: Command) -> None:
    if isinstance(command, GenerateMusic):
        worker.generate(command)


def main() -> None:
    """Run commands until the parent process ends."""
    run_commands(COMMANDS, _load, _run)
