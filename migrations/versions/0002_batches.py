"""batches, imports, requests for an invitation

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "mail_refusal",
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_mail_refusal")),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("staged", sa.Integer(), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_uses", sa.Integer(), nullable=True),
        sa.Column("grants_role", sa.String(length=16), nullable=True),
        sa.Column("mailed", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reminder_days", sa.Integer(), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "state IN ('reading', 'preview', 'issuing', 'issued', 'failed')",
            name=op.f("ck_batch_state_known"),
        ),
        sa.CheckConstraint("size >= 0 AND staged >= 0", name=op.f("ck_batch_counts")),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["account.id"], name=op.f("fk_batch_created_by_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    op.create_index("ix_batch_created_by", "batch", ["created_by_id", "id"])

    op.create_table(
        "batch_row",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=True),
        sa.Column("lookup", sa.LargeBinary(length=32), nullable=True),
        sa.Column("sealed", sa.LargeBinary(length=128), nullable=True),
        sa.Column("hint", sa.String(length=4), nullable=True),
        sa.Column("recipient", sa.String(length=254), nullable=True),
        sa.Column("recipient_name", sa.String(length=120), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=True),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.Column("duplicate_of", sa.Integer(), nullable=True),
        sa.Column("already_invited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_batch_row_batch_id_batch"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_batch_row")),
    )
    _create_where(
        "ix_batch_row_recipient", "batch_row", ["batch_id", "recipient"], "recipient IS NOT NULL"
    )

    op.create_table(
        "batch_upload",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batch.id"],
            name=op.f("fk_batch_upload_batch_id_batch"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_batch_upload")),
    )
    op.create_table(
        "invitation_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'approved', 'declined')",
            name=op.f("ck_invitation_request_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["decided_by_id"],
            ["account.id"],
            name=op.f("fk_invitation_request_decided_by_id_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation_request")),
    )
    op.create_index("ix_invitation_request_state", "invitation_request", ["state", "id"])
    _create_where(
        "uq_invitation_request_waiting",
        "invitation_request",
        ["email"],
        "state = 'waiting'",
        unique=True,
    )

    op.create_table(
        "letter",
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["invitation_id"], ["invitation.id"], name=op.f("fk_letter_invitation_id_invitation")
        ),
        sa.PrimaryKeyConstraint("invitation_id", name=op.f("pk_letter")),
    )

    # Columns are added in place: SQLite would otherwise copy tables that others refer to.
    for column in (
        sa.Column("recipient_name", sa.String(length=120), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=True),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("invitation", column)
    for name in ("bulk_mail_after", "bulk_mail_paused_at"):
        op.add_column("installation", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for table in ("invitation", "outbox"):
        name = f"fk_{table}_batch_id_batch"
        reference = sa.ForeignKey("batch.id", name=op.f(name))
        column = sa.Column("batch_id", sa.Uuid(), reference, nullable=True)
        op.add_column(table, column, inline_references=True)
    _create_where("ix_invitation_batch", "invitation", ["batch_id", "id"], "batch_id IS NOT NULL")
    _create_where("ix_invitation_recipient", "invitation", ["recipient"], "recipient IS NOT NULL")
    _create_where("ix_outbox_batch", "outbox", ["batch_id", "state"], "batch_id IS NOT NULL")
    _create_where(
        "ix_outbox_single", "outbox", ["due_at"], "batch_id IS NULL AND state = 'waiting'"
    )
    op.create_index("ix_outbox_state", "outbox", ["state", "id"])
    op.create_index("ix_outbox_about", "outbox", ["about_id"])
    op.create_index("ix_outbox_recipient", "outbox", ["recipient", "created_at"])


def downgrade() -> None:
    """Go back; on SQLite only by a backup: it cannot drop columns that refer to other tables."""
    if op.get_bind().dialect.name == "sqlite":
        raise NotImplementedError("To go back on SQLite, restore a backup made before 0002.")
    op.drop_index("ix_outbox_single", "outbox")
    op.drop_index("ix_outbox_state", "outbox")
    for table, columns in {
        "installation": ["bulk_mail_paused_at", "bulk_mail_after"],
        "outbox": ["batch_id"],
        "invitation": ["batch_id", "reminded_at", "mailed_at", "language", "recipient_name"],
    }.items():
        for name in columns:
            op.drop_column(table, name)
    op.drop_index("ix_outbox_recipient", "outbox")
    op.drop_index("ix_outbox_about", "outbox")
    op.drop_index("ix_invitation_recipient", "invitation")
    op.drop_table("letter")
    for table in ("invitation_request", "batch_upload", "batch_row", "batch", "mail_refusal"):
        op.drop_table(table)


def _create_where(
    name: str, table: str, columns: list[str], condition: str, *, unique: bool = False
) -> None:
    """An index over the rows that meet a condition, on either engine."""
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, postgresql_where=where, sqlite_where=where)
