"""accounts that sign up, prove their e-mail and stay signed in

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.String(length=32), nullable=False),
        sa.Column("algorithm", sa.String(length=8), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("public_jwk", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_index("ix_signing_key_algorithm", "signing_key", ["algorithm", "created_at"])

    op.create_table(
        "avatar",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_avatar_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", "size", name=op.f("pk_avatar")),
    )
    op.create_index("ix_avatar_digest", "avatar", ["digest"])

    op.create_table(
        "passkey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(length=1023), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_passkey_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
    )
    op.create_index("ix_passkey_account", "passkey", ["account_id"])

    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_recovery_code_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
    )
    op.create_index("ix_recovery_code_account", "recovery_code", ["account_id"])

    op.create_table(
        "verification",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("dialect", sa.String(length=16), nullable=True),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("link_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("sealed", sa.LargeBinary(length=256), nullable=True),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "purpose IN ('activation', 'reset', 'new_password', 'new_email', 'sign_in', "
            "'second_factor')",
            name=op.f("ck_verification_purpose_known"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_verification_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification")),
        sa.UniqueConstraint("link_digest", name=op.f("uq_verification_link_digest")),
    )
    op.create_index("ix_verification_account", "verification", ["account_id", "purpose"])
    op.create_index("ix_verification_expires_at", "verification", ["expires_at"])

    op.create_table(
        "refresh_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session.id"],
            name=op.f("fk_refresh_token_session_id_session"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_refresh_token_digest")),
    )
    op.create_index("ix_refresh_token_session", "refresh_token", ["session_id"])

    # Columns are added in place: SQLite would otherwise copy tables that others refer to.
    columns = {
        "account": (
            sa.Column("serial", sa.Integer(), nullable=True),
            sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("failed_sign_ins", sa.Integer(), server_default=sa.text("0"), nullable=False),
            sa.Column("first_name", sa.String(length=80), server_default="", nullable=False),
            sa.Column("last_name", sa.String(length=80), server_default="", nullable=False),
            sa.Column("phone", sa.String(length=20), nullable=True),
            sa.Column("language", sa.String(length=2), server_default="en", nullable=False),
            sa.Column("avatar", sa.String(length=64), nullable=True),
            sa.Column("totp_sealed", sa.LargeBinary(length=128), nullable=True),
            sa.Column("totp_confirmed_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("totp_last_step", sa.BigInteger(), nullable=True),
        ),
        "installation": (
            sa.Column("last_serial", sa.Integer(), server_default=sa.text("0"), nullable=False),
            sa.Column(
                "second_factor_required", sa.Boolean(), server_default=sa.false(), nullable=False
            ),
        ),
        "session": (sa.Column("dialect", sa.String(length=16), nullable=True),),
    }
    for table, added in columns.items():
        for column in added:
            op.add_column(table, column)
    op.create_index("uq_account_serial", "account", ["serial"], unique=True)
    one_device = sa.text("dialect = 'mobile' AND revoked_at IS NULL")
    op.create_index(
        "uq_session_mobile",
        "session",
        ["account_id"],
        unique=True,
        postgresql_where=one_device,
        sqlite_where=one_device,
    )
    _number_accounts()


def downgrade() -> None:
    """Go back."""
    op.drop_index("uq_session_mobile", "session")
    op.drop_index("uq_account_serial", "account")
    for table, names in {
        "account": (
            "serial",
            "confirmed_at",
            "erased_at",
            "failed_sign_ins",
            "first_name",
            "last_name",
            "phone",
            "language",
            "avatar",
            "totp_sealed",
            "totp_confirmed_at",
            "totp_last_step",
        ),
        "installation": ("last_serial", "second_factor_required"),
        "session": ("dialect",),
    }.items():
        for name in names:
            op.drop_column(table, name)
    for table in (
        "refresh_token",
        "verification",
        "recovery_code",
        "passkey",
        "avatar",
        "signing_key",
    ):
        op.drop_table(table)


def _number_accounts() -> None:
    """Number who is there already in the order they came; their e-mails count as confirmed."""
    op.execute(
        "UPDATE account SET confirmed_at = created_at, serial = "
        "(SELECT count(*) FROM account AS earlier WHERE earlier.id <= account.id)"
    )
    op.execute("UPDATE installation SET last_serial = (SELECT count(*) FROM account)")
