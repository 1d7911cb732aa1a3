"""OpenAI's model names and the models that they resolve to. The data is YAML; users add, change and remove names.

Knows nothing of what is installed.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

import msgspec
import yaml

from homeport.domain.errors import InvalidRequest
from homeport.domain.models import Alias

Override = str | Mapping[str, str | None] | None
"""What a user assigns to a name: a model, `{target: model, encoding: cl100k_base}`, or nothing to remove the name."""

ENCODINGS = ("r50k_base", "p50k_base", "p50k_edit", "cl100k_base", "o200k_base")
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""A name of a family: longer names, or names with other characters, are not matched against patterns."""


class OpenAIName(msgspec.Struct, frozen=True):
    """One of OpenAI's names: the kind of model that it denotes, and the encoding of its token ids, if any."""

    kind: str
    encoding: str | None


Names = Mapping[str, OpenAIName]


class _Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    like: str
    kind: str | None = None
    encoding: str | None = None


class _NotServed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: tuple[str, ...]
    why: str


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: dict[str, dict[str, tuple[str, ...]]]
    families: tuple[_Family, ...]
    common: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    not_served: tuple[_NotServed, ...]


@cache
def _known() -> _Known:
    text = resources.files("homeport.models").joinpath("aliases.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), _Known)


@cache
def _families() -> tuple[tuple[re.Pattern[str], OpenAIName | None], ...]:
    return tuple(
        (re.compile(fnmatch.translate(each.like)), OpenAIName(each.kind, each.encoding) if each.kind else None)
        for each in _known().families
    )


def built_in() -> Names:
    """Return the names that this version lists."""
    return {
        name: OpenAIName(kind, encoding if encoding in ENCODINGS else None)
        for kind, encodings in _known().names.items()
        for encoding, names in encodings.items()
        for name in names
    }


def choices() -> Mapping[str, Sequence[str]]:
    """Return the names that stand for whichever of several models is installed, and these models, the first one first.

    They are no names of OpenAI's.
    """
    return _known().choices


def why_not_served(name: str) -> str | None:
    """Return why a model of OpenAI's is not served, and what is instead; None for any other name."""
    return next(
        (each.why for each in _known().not_served if any(fnmatch.fnmatchcase(name.lower(), one) for one in each.names)),
        None,
    )


def family(name: str) -> OpenAIName | None:
    """Return the meaning of an unlisted name, by its family; None for a name that is not OpenAI's."""
    if not _PLAIN.fullmatch(name):
        return None
    return next((openai_name for pattern, openai_name in _families() if pattern.match(name)), None)


class Aliases:
    """Every alias: OpenAI's names, which resolve to the default model of their kind, changed by `overrides`.

    Iterates over the listed ones. An override with only a target keeps the encoding that the name has at OpenAI. Raises
    InvalidRequest for an invalid override.
    """

    def __init__(self, defaults: Mapping[str, str], overrides: Mapping[str, Override]) -> None:
        self._names = built_in()
        self._defaults = defaults
        self._removed = frozenset(name for name, override in overrides.items() if not override)
        common = _known().common
        self._listed = {
            name: Alias(name, defaults[known.kind], known.encoding, is_common=name in common)
            for name, known in self._names.items()
            if known.kind in defaults and name not in self._removed
        }
        self._listed |= {name: self._own(name, override) for name, override in overrides.items() if override}
        for name, alias in self._listed.items():
            if alias.target in self._listed and alias.target != name:
                raise InvalidRequest(
                    f"The alias `{name}` resolves to the alias `{alias.target}`: use the name of a model."
                )

    def __iter__(self) -> Iterator[Alias]:
        return iter(self._listed.values())

    def find(self, name: str) -> Alias | None:
        """Return the alias of a name, listed or of one of OpenAI's families."""
        if alias := self._listed.get(name):
            return alias
        known = None if name in self._removed else self._openai(name)
        if known is None or known.kind not in self._defaults:
            return None
        return Alias(name, self._defaults[known.kind], known.encoding)

    def kind(self, name: str) -> str | None:
        """Return the kind of model that one of OpenAI's names denotes."""
        known = self._openai(name)
        return known.kind if known else None

    def _openai(self, name: str) -> OpenAIName | None:
        return self._names.get(name) or family(name)

    def _own(self, name: str, override: Override) -> Alias:
        known = self._openai(name)
        encoding = known.encoding if known else None
        if isinstance(override, str):
            return Alias(name, override, encoding)
        fields = override or {}
        unknown = fields.keys() - {"target", "encoding"}
        target = fields.get("target")
        if unknown or not target:
            raise InvalidRequest(f"The alias `{name}` needs a `target`, may have an `encoding`, and nothing else.")
        encoding = fields.get("encoding", encoding)
        if encoding is not None and encoding not in ENCODINGS:
            choices = ", ".join(ENCODINGS)
            raise InvalidRequest(f"The alias `{name}` has the unknown encoding `{encoding}`: choose one of {choices}.")
        return Alias(name, target, encoding)
