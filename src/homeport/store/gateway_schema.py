"""The tables of what several gateways on one database share: who runs, the limits of keys, who does periodic work."""

import sqlalchemy as sa

from homeport.store.schema_metadata import METADATA

GATEWAYS = sa.Table(
    "gateways",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("keys", sa.String(64), nullable=False),
    sa.Column("blobs", sa.String(64), nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("alive_until", sa.Double, nullable=False),
)
"""The running gateways; each renews `alive_until`.

`keys`, `blobs`: what identifies the secret of keys and the storage of files, which all have in common.
"""

LIMIT_ACCOUNTS = sa.Table(
    "limit_accounts",
    METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("state", sa.LargeBinary, nullable=False),
)
"""What each key has used of its limits, by all gateways. `state` is what `serving.shared_accounts` makes of it."""

LEASES = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("owned_until", sa.Double, nullable=False),
)
"""Periodic work that one gateway does for all."""
