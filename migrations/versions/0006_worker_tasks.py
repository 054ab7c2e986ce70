"""tries of the worker's tasks, and the deaths of workers that a mail was with

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "worker_task",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=36), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(length=100), nullable=True),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("deaths >= 0 AND failures >= 0", name=op.f("ck_worker_task_counts")),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_worker_task")),
    )
    op.add_column(
        "outbox", sa.Column("deaths", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )


def downgrade() -> None:
    """Go back. Tasks that were set aside are begun again."""
    op.drop_column("outbox", "deaths")
    op.drop_table("worker_task")
