"""What all tables have in common: the collection that they belong to, and the type of their numbers."""

import sqlalchemy as sa

METADATA = sa.MetaData()

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""The number of a row. SQLite increments only columns of type INTEGER."""
