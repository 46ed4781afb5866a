"""Keys of senders that sign: their secrets are kept sealed, since a signature is verified with the secret itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("sealed", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_index(op.f("ix_api_keys_sender"), "api_keys", ["sender"], postgresql_where=sa.text("sealed <> ''"))


def downgrade() -> None:
    op.execute("DELETE FROM api_keys WHERE sealed <> ''")  # without their secrets nobody is known by them
    op.drop_index(op.f("ix_api_keys_sender"), table_name="api_keys")
    op.drop_column("api_keys", "sealed")
