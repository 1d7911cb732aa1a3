"""OpenAI's model names and what they stand for here. Data lies in YAML; users add, change and remove.

Knows nothing of what is installed.
"""

from collections.abc import Mapping
from importlib import resources

import msgspec
import yaml

from homeport.domain.errors import InvalidRequest
from homeport.domain.models import Alias

Override = str | Mapping[str, str | None] | None
"""What a user writes for a name: a model, `{target: model, encoding: cl100k_base}`, or nothing to remove it."""

ENCODINGS = ("r50k_base", "p50k_base", "p50k_edit", "cl100k_base", "o200k_base")


class Name(msgspec.Struct, frozen=True):
    """One of OpenAI's names: the kind of model it asks for, and the encoding of its token ids, where it takes any."""

    kind: str
    encoding: str | None


Names = Mapping[str, Name]


def built_in() -> Names:
    """The names that come with this version."""
    text = resources.files("homeport.models").joinpath("aliases.yaml").read_text(encoding="utf-8")
    listed = msgspec.convert(yaml.safe_load(text), dict[str, dict[str, tuple[str, ...]]])
    return {
        name: Name(kind, encoding if encoding in ENCODINGS else None)
        for kind, encodings in listed.items()
        for encoding, names in encodings.items()
        for name in names
    }


def alias_map(names: Names, defaults: Mapping[str, str], overrides: Mapping[str, Override]) -> dict[str, Alias]:
    """Every alias by name: each stands for its kind's default (none: it is left out), then `overrides` win.

    An override that gives a target alone keeps the encoding that the name has at OpenAI.
    Raises InvalidRequest for an override that cannot be meant.
    """
    encodings = {name: known.encoding for name, known in names.items()}
    found = {n: Alias(n, defaults[known.kind], known.encoding) for n, known in names.items() if known.kind in defaults}
    for name, override in overrides.items():
        if not override:
            found.pop(name, None)
        elif isinstance(override, str):
            found[name] = Alias(name, override, encodings.get(name))
        else:
            found[name] = _alias(name, override, encodings.get(name))
    for name, alias in found.items():
        if alias.target in found and alias.target != name:
            raise InvalidRequest(f"The alias `{name}` stands for `{alias.target}`, an alias itself: name the model.")
    return found


def _alias(name: str, override: Mapping[str, str | None], encoding: str | None) -> Alias:
    unknown = override.keys() - {"target", "encoding"}
    target = override.get("target")
    if unknown or not target:
        raise InvalidRequest(f"The alias `{name}` needs a `target`, may have an `encoding`, and nothing else.")
    encoding = override.get("encoding", encoding)
    if encoding is not None and encoding not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise InvalidRequest(f"The alias `{name}` has the unknown encoding `{encoding}`: choose of {known}.")
    return Alias(name, target, encoding)
