"""The texts on which changed weights of a model are compared with the original; README.md lists their sources."""

from importlib import resources


def text(name: str) -> str:
    """Return one of the texts. They never change, so that measurements stay comparable."""
    return resources.files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
