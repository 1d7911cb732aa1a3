"""What every request on a model goes through, whatever is asked for."""

import pytest

from homeport.api.runner import require_model_name
from homeport.domain.errors import InvalidRequest


def test_the_path_of_2023_names_the_model() -> None:
    """An engine in the path is the model, also where the body says the same."""
    assert require_model_name(None, "davinci") == "davinci"
    assert require_model_name("davinci", "davinci") == "davinci"


@pytest.mark.parametrize(("body", "path"), [("ada", "davinci"), (None, None), ("", None)])
def test_a_request_without_one_clear_model_is_refused(body: str | None, path: str | None) -> None:
    """No model, or two of them, is a 400 that names the field."""
    with pytest.raises(InvalidRequest) as refused:
        require_model_name(body, path)
    assert refused.value.param == "model"
