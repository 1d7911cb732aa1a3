"""The model of the engine that sleeps, how a worker of it is launched, and requests to it."""

from pathlib import Path

import msgspec

from homeport.domain.content import Message, TextPart
from homeport.domain.models import InstalledModel, ModelFacts
from homeport.domain.text import ChatPrompt, StoppingCriteria, TextRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.serving.options import ServingOptions
from homeport.serving.workers.frames import LaunchMessage

ENTRY = "bench.cluster.engine:load"
NAME = "sleeping"
OPTIONS = ServingOptions(max_queue=512)
"""Slots and times as a server has them by default; the queue is long enough for all clients of a benchmark."""


class EngineOptions(msgspec.Struct, frozen=True):
    """How the engine sleeps."""

    slots: int = 16
    step_s: float = 0.01


def installed(name: str = NAME, digest: str = "1") -> InstalledModel:
    """Return the model, which has no file."""
    return InstalledModel(ModelFacts(name=name, kind="text", engine=NAME, size_bytes=0), {}, digest)


def launch_message(engine: EngineOptions, name: str = NAME, digest: str = "1") -> LaunchMessage:
    """Return how a replica launches the engine."""
    spec = EngineSpec(NAME, name, {}, digest, msgspec.structs.asdict(engine))
    return LaunchMessage(ENTRY, spec, OPTIONS.frame_bytes)


def spool(folder: str, replica: str) -> Path:
    """Return the folder for the files of a replica's requests."""
    return Path(folder) / replica


def request(texts: tuple[str, ...], tokens: int) -> TextRequest:
    """Return a request of a conversation: the system's message, then user and assistant in turn."""
    roles = ["system", *(("user", "assistant")[number % 2] for number in range(len(texts) - 1))]
    messages = tuple(Message(role, (TextPart(text),)) for role, text in zip(roles, texts, strict=True))
    return TextRequest(prompts=(ChatPrompt(messages),), stopping=StoppingCriteria(max_tokens=tokens))
