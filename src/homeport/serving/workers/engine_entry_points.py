"""The function that loads each engine, by name. Imports no engine: only a worker does."""

from collections.abc import Mapping

from homeport.domain.errors import Unavailable

ENGINES: Mapping[str, str] = {
    "text": "homeport.engines.text.engine:load",
    "moderation": "homeport.engines.moderation.engine:load",
    "clipart": "homeport.engines.images.pipelines.clipart.pipeline:load",
    "diffusion": "homeport.engines.images.pipelines.diffusion.pipeline:load",
    "transcription": "homeport.engines.transcription.engine:load",
    "embeddings": "homeport.engines.embeddings.engine:load",
    "dual-encoder": "homeport.engines.embeddings.dual_encoder.engine:load",
    "music": "homeport.engines.music.engine:load",
    "music-diffusion": "homeport.engines.music.diffusion.engine:load",
    "shapes": "homeport.engines.shapes.engine:load",
    "speech": "homeport.engines.speech.engine:load",
}


def entry_point(engine: str, table: Mapping[str, str] = ENGINES) -> str:
    """Return the `module:function` that loads an engine. Raises Unavailable for an unknown name."""
    if engine not in table:
        known = ", ".join(sorted(table)) or "none"
        raise Unavailable(f"This server has no engine named {engine!r} (it has: {known}).")
    return table[engine]
