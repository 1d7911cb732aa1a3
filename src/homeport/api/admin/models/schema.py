"""The bodies and query parameters of `/admin/v1/models`."""

import msgspec


class PullBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a pull. `optimize` null: if that is the default for the model.

    `accept_licence`: the operator has accepted a licence that forbids commercial use.
    """

    reference: str
    projector: str | None = None
    optimize: bool | None = None
    accept_licence: bool = False


class OptimizeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of an optimization. `layout` null: the fastest without measurable loss; `dry_run`: only measure."""

    layout: str | None = None
    dry_run: bool = False


class AliasBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that makes a name stand for a model. `encoding` null: that of OpenAI's name."""

    target: str
    encoding: str | None = None


class NoBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of an action without options."""


class DeleteQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a deletion. `force`: also while the model answers requests."""

    force: bool = False
