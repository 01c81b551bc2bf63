"""Schema 2: when a feed is next due and where it moved; whence a date and a text come; how far an import got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"


def _text(name: str, kind: sa.Text | sa.String | None = None) -> sa.Column[str]:
    return sa.Column(name, kind or sa.Text(), nullable=False, server_default="")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    """Add columns, each with a default, and the table of unfinished imports."""
    for column in (
        _text("published_source", sa.String(40)),
        _text("published_confidence", sa.String(8)),
        _text("text_status", sa.String(8)),
        _text("text_reason"),
        _number("page_tries"),
    ):
        op.add_column("article", column)
    for feed_column in (
        _text("address"),
        _text("moved_to"),
        _number("moved_seen"),
        _number("ttl_s"),
        sa.Column("next_poll_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("feed", feed_column)
    op.create_index("article_text", "article", ["text_status", "first_seen_at"])
    op.create_table(
        "intake",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
    )
