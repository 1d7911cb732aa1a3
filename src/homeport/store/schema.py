"""The current tables. `migrations` upgrades older databases to them.

Times are whole seconds since 1970. Values that no query searches (such as a key's models and limits) are JSON in text
columns.
"""

import sqlalchemy as sa

from homeport.store.schema_metadata import METADATA as METADATA
from homeport.store.schema_metadata import NUMBER
from homeport.store.vector_store_schema import VECTOR_STORE_BATCHES as VECTOR_STORE_BATCHES
from homeport.store.vector_store_schema import VECTOR_STORE_CHUNKS as VECTOR_STORE_CHUNKS
from homeport.store.vector_store_schema import VECTOR_STORE_FILES as VECTOR_STORE_FILES
from homeport.store.vector_store_schema import VECTOR_STORES as VECTOR_STORES

REVISION = "r0009"
"""The latest revision of `migrations/versions`, with which a database of these tables is stamped."""

REVISIONS = sa.Table(
    "revisions",
    METADATA,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
)
"""Counts the changes of records that processes cache (`keys`), so that each notices when to reload them."""

PROJECTS = sa.Table(
    "projects",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

KEYS = sa.Table(
    "keys",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("project", sa.String(64), sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("hint", sa.String(32), nullable=False),
    sa.Column("models", sa.Text, nullable=False),
    sa.Column("limits", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("rotated_at", sa.BigInteger),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
)
"""Rows are never deleted: once there was a key, the server never runs without keys again."""

USAGE_LEDGERS = sa.Table(
    "journals",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("read_bytes", sa.BigInteger, nullable=False),
)
"""How far each file of the usage ledger has been imported into `usage`."""

USAGE = sa.Table(
    "usage",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("request", sa.String(64), nullable=False),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("endpoint", sa.String(32), nullable=False),
    sa.Column("status", sa.String(64), nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.Double, nullable=False),
    sa.Column("first_ms", sa.Double),
    sa.Column("whole_ms", sa.Double, nullable=False),
    sa.Column("is_batch", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("usage_at", "at"),
)

FILES = sa.Table(
    "files",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("purpose", sa.String(32), nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Index("files_project", "project", "seq"),
)

UPLOADS = sa.Table(
    "uploads",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("purpose", sa.String(32), nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("mime_type", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("keep_s", sa.BigInteger),
    sa.Column("file_id", sa.String(64)),
)

UPLOAD_PARTS = sa.Table(
    "upload_parts",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("upload_id", sa.String(64), sa.ForeignKey("uploads.id"), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Index("upload_parts_upload", "upload_id"),
)

BATCHES = sa.Table(
    "batches",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("input_file_id", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("model", sa.Text),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("keep_s", sa.BigInteger),
    sa.Column("errors", sa.Text, nullable=False),
    sa.Column("output_file_id", sa.String(64)),
    sa.Column("error_file_id", sa.String(64)),
    sa.Column("in_progress_at", sa.BigInteger),
    sa.Column("finalizing_at", sa.BigInteger),
    sa.Column("completed_at", sa.BigInteger),
    sa.Column("failed_at", sa.BigInteger),
    sa.Column("expired_at", sa.BigInteger),
    sa.Column("cancelling_at", sa.BigInteger),
    sa.Column("cancelled_at", sa.BigInteger),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("completed", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("owned_until", sa.Double, nullable=False),
    sa.Index("batches_project", "project", "seq"),
    sa.Index("batches_status", "status", "seq"),
)
"""`metadata` and `errors` are JSON. `owner`: the server that runs the batch, until `owned_until`, which it renews."""

BATCH_RESULTS = sa.Table(
    "batch_outcomes",
    METADATA,
    sa.Column("batch_id", sa.String(64), sa.ForeignKey("batches.id"), primary_key=True),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("is_answer", sa.Boolean, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
"""The results of lines until they are in the batch's files. The key prevents a second result for a line."""

FINE_TUNES = sa.Table(
    "fine_tunes",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("server", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("training_file", sa.String(64), nullable=False),
    sa.Column("validation_file", sa.String(64)),
    sa.Column("hyperparameters", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("finished_at", sa.BigInteger),
    sa.Column("estimated_finish", sa.BigInteger),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("steps", sa.BigInteger),
    sa.Column("result_file", sa.String(64)),
    sa.Column("tokens", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
    sa.Column("is_tidy", sa.Boolean, nullable=False),
    sa.Index("fine_tunes_project", "project", "seq"),
    sa.Index("fine_tunes_status", "status", "server"),
)
"""`seen_at`: the last heartbeat of its server. `is_tidy`: the job has ended and its files are deleted."""

FINE_TUNE_EVENTS = sa.Table(
    "fine_tune_events",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("job", sa.String(64), sa.ForeignKey("fine_tunes.id"), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("level", sa.String(16), nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("data", sa.Text),
    sa.Index("fine_tune_events_job", "job", "seq"),
)

FINE_TUNE_CHECKPOINTS = sa.Table(
    "fine_tune_checkpoints",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("job", sa.String(64), sa.ForeignKey("fine_tunes.id"), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("metrics", sa.Text, nullable=False),
    sa.Index("fine_tune_checkpoints_job", "job", "step"),
)

RESPONSES = sa.Table(
    "responses",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("previous_id", sa.String(64)),
    sa.Column("conversation_id", sa.String(64)),
    sa.Column("is_background", sa.Boolean, nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("input", sa.Text, nullable=False),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Index("responses_project", "project", "bytes"),
    sa.Index("responses_previous", "previous_id"),
    sa.Index("responses_expiry", "expires_at"),
)
"""`bytes`: the size of the four texts, which are JSON."""

RESPONSE_RUNS = sa.Table(
    "response_runs",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("response_id", sa.String(64), sa.ForeignKey("responses.id"), nullable=False, unique=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("owned_until", sa.Double, nullable=False),
    sa.Column("is_cancelling", sa.Boolean, nullable=False),
)
"""The background responses that have not ended. `owner`: the server that runs it, until `owned_until`, which it renews.

A table of its own, because renewing would rewrite the texts of `responses`. `is_cancelling`: the owner is to end it.
"""

RESPONSE_EVENTS = sa.Table(
    "response_events",
    METADATA,
    sa.Column("response_id", sa.String(64), sa.ForeignKey("responses.id"), primary_key=True),
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("events", sa.Text, nullable=False),
    sa.Index("response_events_project", "project", "bytes"),
)
"""The events of background responses. A row has several consecutive ones, with the numbers `first` to `last`."""

CONVERSATIONS = sa.Table(
    "conversations",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("locked_by", sa.String(64), nullable=False),
    sa.Column("locked_until", sa.Double, nullable=False),
    sa.Index("conversations_project", "project", "bytes"),
)
"""`locked_by`: the response for which the conversation is reserved, until `locked_until`, which its server renews."""

CONVERSATION_ITEMS = sa.Table(
    "conversation_items",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("conversation_id", sa.String(64), sa.ForeignKey("conversations.id"), nullable=False),
    sa.Column("id", sa.String(256), nullable=False),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("conversation_id", "id", name="conversation_items_id"),
    sa.Index("conversation_items_order", "conversation_id", "seq"),
    sa.Index("conversation_items_project", "project", "bytes"),
    sa.Index("conversation_items_by_id", "project", "id"),
)

STORED_COMPLETIONS = sa.Table(
    "stored_completions",
    METADATA,
    sa.Column("seq", NUMBER, primary_key=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("messages", sa.Text, nullable=False),
    sa.Index("stored_completions_order", "project", "seq"),
    sa.Index("stored_completions_project", "project", "bytes"),
    sa.Index("stored_completions_expiry", "expires_at"),
)
"""`bytes`: the size of `metadata`, `body` and `messages`, which are JSON."""

TRANSCRIPTS = sa.Table(
    "transcripts",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Index("transcripts_expiry", "expires_at"),
)
"""The transcripts of spoken answers; `id` is the answer's audio."""
