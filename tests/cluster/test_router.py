"""What chooses the replica of a request."""

from homeport.cluster.router import FewestRequests, PrefixAffinity
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.text import TextPrompt
from tests.serving.conftest import prompt


def test_the_fewest_requests_win() -> None:
    """The replica with the fewest requests is chosen; equal ones take turns, also when replicas come and go."""
    router = FewestRequests()
    assert router.choose({"a": 3, "b": 1, "c": 2}, ()) == "b"
    assert [router.choose({"a": 0, "b": 0, "c": 0}, ()) for _ in range(3)] == ["a", "c", "b"]
    assert router.choose({"b": 0, "c": 0}, ()) == "c"
    assert [router.choose({"a": 0, "b": 0}, ()) for _ in range(2)] == ["a", "b"]
    assert router.choose({"a": 0, "b": 9}, {"a"}) == "b"


def test_equal_beginnings_stay_together() -> None:
    """A conversation stays on its replica, moves when that one takes no requests, and others are spread."""
    router, loads = PrefixAffinity(16), dict.fromkeys("abcd", 0)
    first = router.choose(prompt("a long talk"), loads, ())
    assert {router.choose(prompt("a long talk"), loads, ()) for _ in range(5)} == {first}
    assert router.choose(prompt("a long talk"), loads, {first}) != first
    assert len({router.choose(prompt(f"talk {n}"), loads, ()) for n in range(40)}) == 4
    del loads[first]
    assert router.choose(prompt("a long talk"), loads, ()) in loads
    assert len({router.choose(EmbeddingRequest((TextPrompt("x"),)), loads, ()) for _ in range(3)}) == 3
