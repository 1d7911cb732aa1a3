"""Decides what the clip-art model draws for a prompt: one drawing, several laid out as a scene, or the nearest one.

Knows nothing of pixels. Its thresholds were chosen on a list of nouns that is no part of the evaluation.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from homeport.engines.images.pipelines.clipart import wording
from homeport.engines.images.pipelines.clipart.english import ENGLISH
from homeport.engines.images.pipelines.clipart.grammar import Kind
from homeport.engines.images.pipelines.clipart.networks import CaptionEncoder, Floats
from homeport.engines.images.pipelines.clipart.scene import PromptScene, Thing
from homeport.engines.images.pipelines.clipart.sentence import read_scene
from homeport.engines.images.pipelines.clipart.tokens import english_tokens
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary, NamedDrawing

_NEAR_NAME = 0.72
"""Cosine from which a phrase without a known name means the nearest drawing."""
_WHOLE_NAME = 0.75
"""Cosine from which a whole prompt with one thing and words besides is one drawing, such as a house with a garden."""
_ANY_NAME = 0.33
"""Cosine from which words of any language are drawn by the nearest drawing's name."""


@dataclass(frozen=True, slots=True)
class DrawingPlan:
    """What to draw. `vectors` (n, 384): of one caption, or of one for each thing of `scene`; None: no caption.

    `revised_prompt`: what is drawn, as text; None if it is the prompt.
    """

    vectors: Floats | None
    scene: PromptScene | None = None
    revised_prompt: str | None = None


class Planner(Protocol):
    """Plans drawings."""

    def plan(self, prompt: str) -> DrawingPlan:
        """Return what is drawn for a prompt."""
        ...


class DrawingPlanner:
    """Implements `Planner` with the names that the model knows."""

    def __init__(self, vocabulary: DrawingVocabulary, encode_caption: CaptionEncoder) -> None:
        self._vocabulary, self._encode = vocabulary, encode_caption

    def plan(self, prompt: str) -> DrawingPlan:
        """Return what is drawn for a prompt."""
        said = wording.without_remarks(prompt)
        scene = read_scene(said, self._vocabulary, self._near)
        if scene is None:
            return DrawingPlan(self._encode(prompt)[None])
        if not scene.things:
            return self._nearest(said, scene)
        if not scene.is_single:
            vectors = np.stack([self._encode(wording.caption(thing)) for thing in scene.things])
            return DrawingPlan(vectors, scene, wording.revised_prompt(scene))
        return self._single(said, scene)

    def _single(self, prompt: str, scene: PromptScene) -> DrawingPlan:
        """Draw one thing: as the prompt says it if all of it can be drawn, else by its name."""
        vector = self._encode(prompt)
        if not scene.left_out:
            return DrawingPlan(vector[None], None, wording.revised_prompt(scene))
        drawing, cosine = self._vocabulary.nearest(vector)
        if cosine >= _WHOLE_NAME:
            whole = replace(scene, things=(Thing(drawing),), left_out=())
            return DrawingPlan(vector[None], None, wording.revised_prompt(whole))
        return DrawingPlan(self._encode(wording.caption(scene.things[0]))[None], None, wording.revised_prompt(scene))

    def _nearest(self, prompt: str, scene: PromptScene) -> DrawingPlan:
        """Draw what is nearest to a prompt without a thing, unless it is in a language that nothing is known of."""
        vector = self._encode(prompt)
        drawing, cosine = self._vocabulary.nearest(vector)
        is_understood = scene.language == "zh" or any(
            token.kind is not Kind.OTHER and token.text in ENGLISH for token in english_tokens(prompt, self._vocabulary)
        )
        if not is_understood and cosine < _ANY_NAME:
            return DrawingPlan(vector[None])
        nearest = replace(scene, things=(Thing(drawing),), relations=())
        text = wording.revised_prompt(nearest, is_nearest=True)
        return DrawingPlan(self._encode(drawing.caption)[None], None, text)

    def _near(self, phrase: str) -> NamedDrawing | None:
        drawing, cosine = self._vocabulary.nearest(self._encode(phrase))
        return drawing if cosine >= _NEAR_NAME else None
