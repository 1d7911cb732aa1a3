"""Scenes in short, for tests: `cat on sofa`."""

from collections.abc import Sequence

from homeport.engines.images.pipelines.clipart.scene import Place, PromptScene, Relation, Thing
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary, NamedDrawing

VOCABULARY = DrawingVocabulary.load()
"""The names in the package."""


def drawing(name: str) -> NamedDrawing:
    """Return the drawing with this English name."""
    found = VOCABULARY.english(name)
    assert found is not None, name
    return found


def scene(things: Sequence[str], *relations: tuple[Sequence[int], Place, Sequence[int]]) -> PromptScene:
    """Return a scene of things by their English names, `3 apple` for three, with relations between their indices."""
    found = []
    for each in things:
        count, _, name = each.rpartition(" ") if each[0].isdigit() else ("1", "", each)
        found.append(Thing(drawing(name), int(count)))
    related = [Relation(tuple(subjects), place, tuple(objects)) for subjects, place, objects in relations]
    return PromptScene(tuple(found), tuple(related))


def told(found: PromptScene) -> tuple[list[str], list[str]]:
    """Return a scene's things and relations as text."""
    things = []
    for thing in found.things:
        size = "big" if thing.size > 1 else "small" if thing.size < 1 else ""
        words = (str(thing.count) if thing.count > 1 else "", size, thing.color, thing.drawing.english)
        things.append(" ".join(word for word in words if word))
    names = [thing.drawing.english for thing in found.things]
    relations = [
        f"{'+'.join(names[i] for i in each.subjects)} {each.place.value} {'+'.join(names[i] for i in each.objects)}"
        for each in found.relations
    ]
    return things, relations
