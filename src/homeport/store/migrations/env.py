"""Where Alembic starts: runs the steps on the connection that `store.migration` hands it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
