"""The table of the kinds of models."""

from typing import get_args

from homeport.domain.kinds import KINDS, SHAPES, STARTERS, kind_of
from homeport.domain.worker_messages import EngineRequest


def test_every_request_belongs_to_one_kind() -> None:
    """The requests of all kinds are the members of `EngineRequest`, each once."""
    requests = [request for kind in KINDS.values() for request in kind.requests]
    assert len(requests) == len(set(requests))
    assert set(requests) == set(get_args(EngineRequest))


def test_every_capability_belongs_to_one_kind() -> None:
    """No two kinds share a capability, and each capability leads to its kind."""
    capabilities = [(capability, kind) for kind in KINDS.values() for capability in kind.capabilities]
    assert len(capabilities) == len({capability for capability, _ in capabilities})
    assert all(kind_of(capability) is kind for capability, kind in capabilities)


def test_every_kind_has_a_starter() -> None:
    """Each kind but shapes, which have none worth it, names a model that is pulled first; no model serves two kinds."""
    assert [kind.name for kind in KINDS.values() if not kind.starters] == [SHAPES]
    assert len(STARTERS) == len(set(STARTERS))
