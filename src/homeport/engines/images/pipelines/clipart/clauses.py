"""Which things a sentence puts where: from things and place words in their order to relations. Knows no words."""

from itertools import pairwise
from typing import Protocol

from homeport.engines.images.pipelines.clipart.chinese import COMMAS, RIDES
from homeport.engines.images.pipelines.clipart.grammar import Kind, Token
from homeport.engines.images.pipelines.clipart.scene import Place, Relation

_SHARED = {Place.ON, Place.IN, Place.UNDER}
"""After `a cat next to a dog`, these places are meant for both."""
_ROWS = {Place.LEFT, Place.RIGHT, Place.BESIDE}


class Clauses(Protocol):
    """Receives a sentence's parts in order."""

    relations: list[Relation]

    def add(self, thing: int | None) -> None:
        """Add a thing by its index; None for one that is not drawn."""
        ...

    def take(self, token: Token) -> None:
        """Take a place word or a separator."""
        ...

    def end(self) -> None:
        """End the prompt."""
        ...


class _Sides:
    """Things that are on the left, in the middle or on the right of the picture."""

    def __init__(self) -> None:
        self._by_side: dict[Place, list[int]] = {Place.LEFT: [], Place.BETWEEN: [], Place.RIGHT: []}

    def __bool__(self) -> bool:
        return any(self._by_side.values())

    def add(self, side: Place, things: list[int]) -> None:
        self._by_side[side].extend(things)

    def relations(self, others: list[int]) -> list[Relation]:
        """Return the relations from left to right. `others`: things without a side."""
        left, right = self._by_side[Place.LEFT], self._by_side[Place.RIGHT]
        middle = self._by_side[Place.BETWEEN] or (others if bool(left) != bool(right) else [])
        columns = [column for column in (left, middle, right) if column]
        return [Relation(tuple(one), Place.LEFT, tuple(next_)) for one, next_ in pairwise(columns)]


class _BaseClauses:
    def __init__(self) -> None:
        self.relations: list[Relation] = []
        self._all: list[int] = []
        self._sides = _Sides()

    def _relate(self, subjects: list[int], place: Place, objects: list[int | None]) -> None:
        known = [index for index in objects if index is not None and index not in subjects]
        if subjects and known:
            self.relations.append(Relation(tuple(dict.fromkeys(subjects)), place, tuple(dict.fromkeys(known))))

    def _relate_sides(self) -> None:
        related = {index for relation in self.relations for index in (*relation.subjects, *relation.objects)}
        self.relations += self._sides.relations([index for index in self._all if index not in related])


class EnglishClauses(_BaseClauses):
    """Implements `Clauses`: subjects, place, objects; or place, objects, subjects at the beginning of a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self._begin()

    def _begin(self) -> None:
        self._subjects: list[int] = []
        self._place: Place | None = None
        self._is_worn = False
        self._objects: list[int | None] = []
        self._fronted: tuple[Place, list[int | None]] | None = None
        self._before: tuple[list[int], Place, list[int]] | None = None
        self._is_separated = False
        self._side: Place | None = None

    def add(self, thing: int | None) -> None:
        """Add a thing by its index; None for one that is not drawn."""
        if thing is not None and thing not in self._all:
            self._all.append(thing)
        if self._place is not None:
            self._objects.append(thing)
            if len(self._objects) == (2 if self._place is Place.BETWEEN else 1):
                self._complete()
            return
        if self._before is not None:
            self._subjects, self._before = [], None
        if thing is not None:
            self._subjects.append(thing)
            if self._side is not None:
                self._sides.add(self._side, [thing])
        self._is_separated = False

    def take(self, token: Token) -> None:
        """Take a place word or a separator."""
        if token.kind is Kind.STOP:
            self._finish()
            self._begin()
        elif token.kind is Kind.AND:
            self._is_separated = True
        elif token.kind is Kind.SIDE and isinstance(token.value, Place):
            if self._subjects and self._side is None:
                self._sides.add(token.value, self._subjects[-1:])
                self._subjects, self._before = [], None
            else:
                self._side = token.value
        elif token.kind is Kind.WEARS or isinstance(token.value, Place):
            self._open(Place.ON if token.kind is Kind.WEARS else Place(str(token.value)))
            self._is_worn = token.kind is Kind.WEARS

    def end(self) -> None:
        """End the prompt."""
        self._finish()
        self._relate_sides()

    def _open(self, place: Place) -> None:
        """Begin a place: its subjects were said, unless it opens the sentence."""
        if self._fronted is not None and self._subjects:
            self._relate(self._subjects, *self._fronted)
            self._fronted = None
        if self._before is not None:
            subjects, last, objects = self._before
            if not self._is_separated and objects:
                self._subjects = [*subjects, *objects] if last in _ROWS and place in _SHARED else objects
            self._before = None
        self._place, self._objects, self._is_separated = place, [], False

    def _complete(self) -> None:
        place, objects = self._place, self._objects
        self._place, self._objects = None, []
        if place is None:
            return
        known = [index for index in objects if index is not None]
        if not self._subjects and self._fronted is None and self._before is None:
            self._fronted = (place, objects)
            return
        if self._is_worn:
            self._relate(known, place, list(self._subjects[-1:]))
            self._before, self._is_worn = (self._subjects, Place.BESIDE, []), False
            return
        self._relate(self._subjects, place, objects)
        self._before, self._is_separated = (self._subjects, place, known), False

    def _finish(self) -> None:
        if self._place is not None and self._objects:
            self._place = Place.BESIDE if self._place is Place.BETWEEN else self._place
            self._complete()
        if self._fronted is not None and self._subjects:
            self._relate(self._subjects, *self._fronted)


class ChineseClauses(_BaseClauses):
    """Implements `Clauses`: subjects, 在, objects, place; or objects, place, subjects."""

    def __init__(self) -> None:
        super().__init__()
        self._group: list[int | None] = []
        self._at: list[int] | None = None
        self._awaiting: tuple[Place, list[int | None]] | None = None
        self._last: list[int] = []
        self._side: Place | None = None
        self._verb: tuple[Place, list[int]] | None = None
        self._worn: int | None = None

    def add(self, thing: int | None) -> None:
        """Add a thing by its index; None for one that is not drawn."""
        if thing is not None and thing not in self._all:
            self._all.append(thing)
        if self._verb is not None:
            self._relate_verb(thing)
            return
        if self._worn is not None and thing is not None:
            self._relate([self._worn], Place.ON, [thing])
            self._worn = None
        self._group.append(thing)
        if self._side is not None and thing is not None:
            self._sides.add(self._side, [thing])

    def take(self, token: Token) -> None:
        """Take a place word or a separator."""
        if token.kind is Kind.AT:
            self._settle()
            self._at, self._group = _known(self._group) or self._last, []
        elif token.kind is Kind.WEARS:
            self._verb = (Place.UNDER, _known(self._group)[-1:])
        elif token.kind is Kind.PLACE and token.text in RIDES:
            self._verb = (Place.ON, _known(self._group))
        elif token.kind is Kind.PLACE and isinstance(token.value, Place):
            self._put(token.value)
        elif token.kind is Kind.STOP or token.text in COMMAS:
            self._break()

    def end(self) -> None:
        """End the prompt."""
        self._break()
        self._relate_sides()

    def _put(self, place: Place) -> None:
        """Take a place: its objects were just said."""
        if self._at is not None:
            if not self._group:
                self._put_aside(place, self._at)
            elif self._at:
                self._relate(self._at, place, self._group)
                self._last = self._at
            else:
                self._awaiting = (place, self._group)
            self._at, self._group = None, []
            return
        if not self._group:
            if self._last and not self._sides:
                self._awaiting = (place, list(self._last))
            else:
                self._put_aside(place, [])
            return
        count = 2 if place is Place.BETWEEN else 1
        objects, self._group = self._group[-count:], self._group[:-count]
        self._settle()
        self._group = []
        self._awaiting = (place, objects)

    def _put_aside(self, place: Place, things: list[int]) -> None:
        """Take a place of the picture itself: on its left, in its middle, on its right."""
        if place in {Place.LEFT, Place.RIGHT, Place.BETWEEN}:
            if things:
                self._sides.add(place, things)
            else:
                self._side = place

    def _relate_verb(self, thing: int | None) -> None:
        """Take the object of riding or wearing."""
        place, subjects = self._verb or (Place.ON, [])
        self._verb = None
        if thing is None:
            return
        if place is Place.UNDER and subjects:
            self._relate([thing], Place.ON, list(subjects))
        elif place is Place.UNDER:
            self._worn = thing
        elif subjects:
            self._relate(subjects, Place.ON, [thing])
        else:
            self._awaiting = (Place.ON, [thing])

    def _settle(self) -> None:
        """Give the subjects said last the place that was said before them."""
        subjects = _known(self._group)
        if self._awaiting is not None and subjects:
            self._relate(subjects, *self._awaiting)
            self._awaiting, self._last = None, subjects

    def _break(self) -> None:
        self._settle()
        subjects = _known(self._group)
        if self._at is not None:  # 在 without a place: it only says that something happens
            subjects = self._at + subjects
        self._last = subjects or self._last
        self._at, self._group, self._side = None, [], None


def _known(things: list[int | None]) -> list[int]:
    return [index for index in things if index is not None]
