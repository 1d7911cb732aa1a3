"""What handlers work with."""

from dataclasses import replace

import msgspec

from homeport.domain.models import Gauges
from tests.api.fakes import FakeServing, installed, loaded, services


def test_fingerprint_names_all_that_computes() -> None:
    """The fingerprint stays while nothing changes, and changes with weights, kernels and version."""
    serving = FakeServing()
    house, model = services(serving), installed("tiny")
    serving.running["tiny"] = (loaded("tiny"), Gauges())
    first = house.fingerprint(model)
    assert first == house.fingerprint(model)
    others = {replace(house, version="9").fingerprint(model)}
    others.add(house.fingerprint(msgspec.structs.replace(model, digest="other")))
    serving.running["tiny"] = (msgspec.structs.replace(loaded("tiny"), kernels="faster"), Gauges())
    others.add(house.fingerprint(model))
    assert len(others | {first}) == 4
