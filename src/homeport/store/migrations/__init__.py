"""The steps that lead an older database to today's schema, in order. Alembic runs them; they ship in the package."""
