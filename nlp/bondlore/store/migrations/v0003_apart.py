"""Schema 3: pairs that a person keeps apart, however alike they read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "apart",
        sa.Column("low", sa.Integer(), sa.ForeignKey("article.number"), primary_key=True),
        sa.Column("high", sa.Integer(), sa.ForeignKey("article.number"), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_with_rowid=False,
    )
