"""Writes docs/glance-model-card.md: the text is here, and every number is measured or counted."""

from collections.abc import Mapping, Sequence

from recipes.glance import pictures
from recipes.glance.archives import ARCHIVES
from recipes.glance.concepts import LANGUAGES
from recipes.glance.dataset import Dataset
from recipes.glance.evaluation import DEPTHS, Measured

_HEAD = """# Model card: homeport-glance-256

*Written by `python -m recipes.glance`; `python -m recipes.glance --check` reports whether it is stale.*

A small model that comes with Homeport: vectors of 256 numbers for images and for texts, in one space, so that a text
finds images and an image finds texts. It finds the dog among your images, offline and in many languages. **It is not
CLIP**, and the alias `clip` never means it: CLIP learnt from hundreds of millions of captioned photos, this model from
some thousand drawings of emoji and from the names of ImageNet's 1,000 classes.

## How it works

* Images: EfficientNet-Lite2, trained by others on ImageNet's photos and not changed here. An image is padded to a
  square with white and resized to 260 x 260; its 1,280 features and 1,000 class probabilities go through trained
  layers, a linear one and beside it one with a hidden layer.
* Texts: the vectors of multilingual-e5-small, through a trained linear map. Texts may be in any of its languages;
  names in {languages} were trained on, some also in phrases.
* The names of the ten most probable classes are mixed into an image's vector (ConSE). Their share was chosen on
  {development} other emoji that were neither trained on nor measured here: {share:.2f}.

The projections ({size:.1f} MB) come with Homeport; the network (24 MB) is fetched with the package of its weights."""

_LIMITS = """## Limits

* It sees what the main thing in an image is, not scenes, relations, counts, colors, actions or moods ("a red car left
  of two dogs" finds cars and dogs).
* It reads no writing in images, and recognizes neither persons nor places nor brands.
* Photos were not measured: no package has photos with captions that may be used. The figures above are of drawings
  and, among the stamps, of cut-out photos.
* Similarities say which of several is nearest; they are not probabilities, and no threshold means "nothing fits".
* Languages other than the measured ones are not measured. English is best.
* What is in neither ImageNet's classes nor emoji it knows only by resemblance."""


def written(dataset: Dataset, measured: Sequence[Measured], stamps: Mapping[str, str], share: float, size: int) -> str:
    """Return the text of the card. `share`: of the class names; `size`: of the projections, in bytes."""
    development = sum(concept.split == "development" for concept in dataset.concepts.values())
    head = _HEAD.format(languages=", ".join(LANGUAGES), development=development, share=share, size=size / 1e6)
    parts = [head, _recall(measured), _data(dataset), _LIMITS, _stamps(stamps)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _recall(measured: Sequence[Measured]) -> str:
    rows = [
        f"| {each.what} | {each.language} | {each.queries} | {each.candidates} | "
        f"{' | '.join(f'{value:.1f}' for value in each.recall)} |"
        for each in measured
    ]
    depths = " | ".join(f"R@{depth}" for depth in DEPTHS)
    return (
        "## Recall, in percent\n\nHow often the right one of all candidates is the nearest, or among the nearest five "
        "or ten. Emoji: one concept in ten was held out of training in all sets; its drawings in "
        f"{' and '.join(pictures.SETS)} are measured, against the held-out names and against all names. "
        "Stamps: those of Tux Paint except letters, digits and coins, one for each English description; nothing of "
        "them was trained on.\n\n"
        f"| what | language | queries | candidates | {depths} |\n| --- | --- | ---: | ---: |{' ---: |' * len(DEPTHS)}\n"
        + "\n".join(rows)
    )


def _data(dataset: Dataset) -> str:
    used = {name: sum(each.set == name for each in dataset.drawings) for name in pictures.SETS}
    rows = [
        f"| {each.registry} | {each.name} {each.version} | {each.licence} | {used.get(name, '')} |"
        for name, each in ARCHIVES.items()
    ]
    return (
        "## Data and licenses\n\nOf each emoji that is trained on, the drawing is used as it is and trimmed. None of "
        "these files ships. The projections are under this repository's license (see LICENSE).\n\n"
        "| registry | package | license | pictures |\n| --- | --- | --- | ---: |\n" + "\n".join(rows)
    )


def _stamps(stamps: Mapping[str, str]) -> str:
    return "## Made from\n\n" + "\n".join(f"* `{name}` {stamp}" for name, stamp in stamps.items())
