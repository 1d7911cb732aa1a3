"""The migrations that upgrade an older database to the current schema. Alembic runs them."""
