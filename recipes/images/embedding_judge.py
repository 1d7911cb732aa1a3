"""A judge of pictures that is independent of the training images: a model of a running server that embeds images.

Any model with the capability `image_embeddings` serves. Knows nothing of how pictures are made.
"""

import base64
import io
import json
import urllib.request
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TIMEOUT_S = 60


class EmbeddingJudge:
    """Implements `scenes.ThingJudge`: of all `names`, one of the labels is among the nearest to the part of a picture.

    `server`: its base URL, such as `http://localhost:8080`. `names`: English labels, from which the model chooses.
    `nearest`: how many of them count as nearest.
    """

    def __init__(self, server: str, model: str, names: Sequence[str], nearest: int = 1) -> None:
        self._url, self._model, self._names, self._nearest = f"{server}/v1/embeddings", model, list(names), nearest
        self._vectors = self._embed(self._names)

    def recognizes(self, part: NDArray[np.uint8], labels: Sequence[str]) -> bool:
        """Whether one of the labels is among the nearest names."""
        file = io.BytesIO()
        Image.fromarray(part).save(file, "PNG")
        url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
        [vector] = self._embed([{"type": "image_url", "image_url": {"url": url}}])
        nearest = np.argsort(-(self._vectors @ vector))[: self._nearest]
        return any(self._names[index] in labels for index in nearest.tolist())

    def _embed(self, inputs: Sequence[object]) -> NDArray[np.float32]:
        body = json.dumps({"model": self._model, "input": inputs}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310 - the caller's own server
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
        return np.array([item["embedding"] for item in answer["data"]], np.float32)
