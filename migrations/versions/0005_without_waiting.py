"""what is counted and remembered without waiting for others: issued codes, audit events

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = "number, at, action, actor_id, subject_id, device, address_digest, details, hash"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "audit_unlinked",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("device", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("seal", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_unlinked")),
    )
    op.create_table(
        "issued_count",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_issued_count_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "slot", name=op.f("pk_issued_count")),
    )
    op.add_column("audit_event", sa.Column("id", sa.Uuid(), nullable=True))
    op.create_index("uq_audit_event_id", "audit_event", ["id"], unique=True)
    _keep_audit_events(f"id, {COLUMNS}")


def downgrade() -> None:
    """Go back. `flask audit verify` links what is unlinked; until then this refuses."""
    unlinked = sa.text("SELECT count(*) FROM audit_unlinked")
    if op.get_bind().execute(unlinked).scalar():
        raise RuntimeError("Audit events are not linked yet: run `flask audit verify` first.")
    _keep_audit_events(COLUMNS)
    op.drop_index("uq_audit_event_id", table_name="audit_event")
    op.drop_column("audit_event", "id")
    op.execute(
        "UPDATE account SET invitations_issued = invitations_issued + (SELECT "
        "coalesce(sum(issued), 0) FROM issued_count WHERE issued_count.account_id = account.id)"
    )
    op.drop_table("issued_count")
    op.drop_table("audit_unlinked")


def _keep_audit_events(columns: str) -> None:
    """Let the database itself refuse to change these, as since 0001."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_event_kept ON audit_event")
        op.execute(
            f"CREATE TRIGGER audit_event_kept BEFORE DELETE OR UPDATE OF {columns} "
            "ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
        )
    else:
        op.execute("DROP TRIGGER audit_event_unchanged")
        op.execute(
            f"CREATE TRIGGER audit_event_unchanged BEFORE UPDATE OF {columns} ON audit_event "
            "BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END"
        )
