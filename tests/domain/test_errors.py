"""Errors as values, in frames and databases."""

import pytest

from homeport.domain import errors
from homeport.domain.errors import ErrorInfo, HomeportError, error_from_info


@pytest.mark.parametrize("kind", sorted(HomeportError.kinds()))
def test_every_error_survives_as_values(kind: str) -> None:
    """An error's info turns back into an error of the same class with the same fields."""
    info = ErrorInfo(kind, "What is wrong.", "model", "a_code", 3.0)
    found = error_from_info(info)
    assert type(found).__name__ == kind
    assert found.info == info


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ("ExtraMissing", errors.ExtraNotInstalled),
        ("MethodRefused", errors.MethodNotAllowed),
        ("Missing", errors.NotFound),
        ("ModelMissing", errors.ModelNotFound),
        ("QuotaSpent", errors.QuotaExceeded),
        ("TooLarge", errors.PayloadTooLarge),
        ("UnsupportedMedia", errors.UnsupportedMediaType),
    ],
)
def test_former_class_names_are_read(former: str, current: type[HomeportError]) -> None:
    """A database written before the classes were renamed returns the same errors."""
    assert type(error_from_info(ErrorInfo(former, "What is wrong."))) is current


def test_an_unknown_kind_is_a_failure_of_the_engine() -> None:
    """An error written by a later version is reported as EngineFailed with its message."""
    found = error_from_info(ErrorInfo("FromTheFuture", "What is wrong."))
    assert (type(found), found.message) == (errors.EngineFailed, "What is wrong.")
