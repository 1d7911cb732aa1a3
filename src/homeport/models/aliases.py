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


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """OpenAI's names: those of text by encoding, the others by kind."""

    text: dict[str, tuple[str, ...]]
    others: dict[str, tuple[str, ...]]

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of every name that is not of text."""
        return {name: kind for kind, names in self.others.items() for name in names}


def built_in() -> Names:
    """The names that come with this version."""
    text = resources.files("homeport.models").joinpath("aliases.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), Names)


def alias_map(names: Names, default: str | None, overrides: Mapping[str, Override]) -> dict[str, Alias]:
    """Every alias by name: text names stand for `default` (none: they are left out), then `overrides` win.

    An override that gives a target alone keeps the encoding that the name has at OpenAI.
    Raises InvalidRequest for an override that cannot be meant.
    """
    encodings = {name: encoding for encoding, listed in names.text.items() for name in listed}
    found = {name: Alias(name, default, encoding) for name, encoding in encodings.items()} if default else {}
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
