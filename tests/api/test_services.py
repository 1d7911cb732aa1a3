"""The services that handlers use."""

from dataclasses import replace

import msgspec

from homeport.domain.models import EngineStats, ResolvedModel
from tests.api.fakes import FakeServing, installed, loaded, services


def test_fingerprint_names_all_that_computes() -> None:
    """The fingerprint changes with weights, kernels and version, and with nothing else."""
    serving = FakeServing()
    house, model = services(serving), installed("tiny")
    resolved = ResolvedModel("tiny", model)
    serving.running["tiny"] = (loaded("tiny"), EngineStats())
    first = house.fingerprint(resolved)
    assert first == house.fingerprint(resolved)
    others = {replace(house, version="9").fingerprint(resolved)}
    others.add(house.fingerprint(ResolvedModel("tiny", msgspec.structs.replace(model, digest="other"))))
    others.add(house.fingerprint(ResolvedModel("ft", model, fine_tuned=installed("ft"))))
    serving.running["tiny"] = (msgspec.structs.replace(loaded("tiny"), kernels="faster"), EngineStats())
    others.add(house.fingerprint(resolved))
    assert len(others | {first}) == 5
