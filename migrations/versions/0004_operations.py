"""what operators need: the key's check value, backups, the keyed audit chain, refused guesses

Revision: 0004, after 0003
"""

from hmac import digest

import sqlalchemy as sa
from alembic import op

from portal.domain.crypto import keys

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("installation", sa.Column("key_check", sa.LargeBinary(32), nullable=True))
    for name in ("key_since", "backed_up_at", "pruned_at"):
        op.add_column("installation", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "audit_head",
        sa.Column("vouched", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("audit_head", sa.Column("voucher", sa.LargeBinary(32), nullable=True))
    op.create_table(
        "refused_guess",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_guess")),
    )
    op.create_index("ix_refused_guess_device", "refused_guess", ["device", "at"])
    _vouch_for_the_chain_so_far()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER audit_event_not_emptied BEFORE TRUNCATE ON audit_event "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
        )


def downgrade() -> None:
    """Go back."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_event_not_emptied ON audit_event")
    op.drop_index("ix_refused_guess_device", table_name="refused_guess")
    op.drop_table("refused_guess")
    op.drop_column("audit_head", "voucher")
    op.drop_column("audit_head", "vouched")
    for name in ("pruned_at", "backed_up_at", "key_since", "key_check"):
        op.drop_column("installation", name)


def _vouch_for_the_chain_so_far() -> None:
    """Events were chained without a key until now: a keyed digest covers the last one's hash."""
    number, last = op.get_bind().execute(sa.text("SELECT number, hash FROM audit_head")).one()
    if number:
        voucher = digest(keys.derive("audit voucher"), f"{number} {last}".encode(), "sha256")
        op.get_bind().execute(
            sa.text("UPDATE audit_head SET vouched = :number, voucher = :voucher"),
            {"number": number, "voucher": voucher},
        )
