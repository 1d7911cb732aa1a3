"""The services that handlers use."""

from dataclasses import replace

import msgspec

from homeport.domain.models import EngineStats, ResolvedModel
from tests.api.fakes import FakeServing, installed, loaded, services


def test_fingerprint_names_all_that_computes() -> None:
    """The fingerprint changes with weights, kernels and version, and with nothing else."""
    serving = FakeServing()
    app_services, model = services(serving), installed("tiny")
    resolved = ResolvedModel("tiny", model)
    serving.running["tiny"] = (loaded("tiny"), EngineStats())
    first = app_services.fingerprint(resolved)
    assert first == app_services.fingerprint(resolved)
    others = {replace(app_services, version="9").fingerprint(resolved)}
    others.add(app_services.fingerprint(ResolvedModel("tiny", msgspec.structs.replace(model, digest="other"))))
    others.add(app_services.fingerprint(ResolvedModel("ft", model, fine_tuned=installed("ft"))))
    serving.running["tiny"] = (msgspec.structs.replace(loaded("tiny"), kernels="faster"), EngineStats())
    others.add(app_services.fingerprint(resolved))
    assert len(others | {first}) == 5
