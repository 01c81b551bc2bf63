"""Alembic revisions of the store's schema, oldest first. Never edit one that was released: add the next."""
