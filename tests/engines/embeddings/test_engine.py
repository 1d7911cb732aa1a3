from pathlib import Path

import pytest

from homeport.domain.content import attach
from homeport.domain.errors import Unavailable
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.embeddings.engine import load
from tests.samples import tiny_encoders as tiny


def test_a_loaded_model_has_the_files_window(tmp_path: Path) -> None:
    """The window is that of the file."""
    tiny.bert(tmp_path / "tiny.gguf")
    engine = load(
        EngineSpec(
            "embeddings", "tiny", attach({"weights": tmp_path / "tiny.gguf"}), "", {"threads": 1, "library": None}
        )
    )
    facts = engine.loaded
    assert (facts.model, facts.window) == ("tiny", 128)
    engine.close()
    engine.run(lambda _: None)


@pytest.mark.parametrize(("options", "says"), [({"threads": 0}, "threads"), ({"colour": 1}, "colour")])
def test_invalid_options_are_named(options: dict[str, int], says: str) -> None:
    """An invalid or unknown option is an error that names it."""
    with pytest.raises(Unavailable, match=says):
        load(EngineSpec("embeddings", "tiny", {}, "", {**options}))


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    """A spec without weights, and one with an invalid file, are refused."""
    with pytest.raises(Unavailable, match="no weights"):
        load(EngineSpec("embeddings", "tiny", {}, "", {}))
    (tmp_path / "odd.gguf").write_bytes(b"odd")
    with pytest.raises(Unavailable, match=r"odd\.gguf"):
        load(EngineSpec("embeddings", "tiny", attach({"weights": tmp_path / "odd.gguf"}), "", {}))
