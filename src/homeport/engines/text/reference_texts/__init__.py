"""The texts on which a change of a model's weights is judged; README.md says where they come from."""

from importlib import resources

NAMES = ("english", "chinese", "code")


def text(name: str) -> str:
    """One of the texts. They never change: figures of different days are to be comparable."""
    return resources.files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
