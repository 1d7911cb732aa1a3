from bench.prompts import way
from bench.prompts.way import Load


def test_names_of_ways_are_distinct_and_the_reference_is_first() -> None:
    """Every way has its own name, and the first one is llama.cpp at its lossless layout."""
    names = [each.name for each in way.ways()]
    assert len(set(names)) == len(names)
    assert (way.ways()[0].backend, way.ways()[0].layout) == ("llama.cpp", "q8_0")


def test_long_prompts_are_not_given_together() -> None:
    """16 prompts are given together only if they have no more tokens than the limit."""
    assert way.loads([64, 200], 2000) == (Load(64), Load(200), Load(64, 16))
    assert [str(load) for load in (Load(1500), Load(1500, 16))] == ["1,500", "16 × 1,500"]
