"""whose e-mail is proven, proofs for bound invitations, one form of every address

Revision: 0008, after 0005
"""

import logging
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op
from email_validator import EmailNotValidError, validate_email

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")

PURPOSES = "'activation', 'reset', 'new_password', 'new_email', 'sign_in', 'second_factor'"
PROOFS = "'mail', 'first_owner', 'command_line'"
COMMAND_LINE = sha256(b"command-line").hexdigest()

KEYS = {
    "invitation": ("id",),
    "redemption": ("id",),
    "outbox": ("id",),
    "batch_row": ("batch_id", "number"),
}


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "pending_redemption",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_pending_redemption_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["invitation.id"],
            name=op.f("fk_pending_redemption_invitation_id_invitation"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_pending_redemption")),
    )
    _let_verifications_be_about_invitations()
    # In SQL, since SQLite adds a constraint in place only together with its column.
    op.execute(
        "ALTER TABLE account ADD COLUMN email_proof VARCHAR(16) "
        f"CONSTRAINT ck_account_email_proof_known CHECK (email_proof IN ({PROOFS}))"
    )
    _look_for_proofs()
    _unify_accounts()
    _unify_others()


def downgrade() -> None:
    """Go back. Addresses stay in their one form."""
    op.execute("DELETE FROM outbox WHERE kind = 'recipient'")
    op.execute("DELETE FROM verification WHERE purpose = 'recipient'")
    with op.batch_alter_table("verification", copy_from=_verification(after=True)) as table:
        table.drop_index("ix_verification_invitation")
        table.drop_constraint(op.f("ck_verification_one_subject"), type_="check")
        table.drop_constraint(op.f("ck_verification_purpose_known"), type_="check")
        table.drop_constraint(op.f("fk_verification_invitation_id_invitation"), type_="foreignkey")
        table.drop_column("invitation_id")
        table.alter_column("account_id", existing_type=sa.Uuid(), nullable=False)
        table.create_check_constraint(
            op.f("ck_verification_purpose_known"), f"purpose IN ({PURPOSES})"
        )
    op.drop_table("pending_redemption")
    op.drop_column("account", "email_proof")


def _let_verifications_be_about_invitations() -> None:
    with op.batch_alter_table("verification", copy_from=_verification(after=False)) as table:
        table.alter_column("account_id", existing_type=sa.Uuid(), nullable=True)
        table.add_column(sa.Column("invitation_id", sa.Uuid(), nullable=True))
        table.create_foreign_key(
            op.f("fk_verification_invitation_id_invitation"),
            "invitation",
            ["invitation_id"],
            ["id"],
            ondelete="CASCADE",
        )
        table.drop_constraint(op.f("ck_verification_purpose_known"), type_="check")
        table.create_check_constraint(
            op.f("ck_verification_purpose_known"), f"purpose IN ({PURPOSES}, 'recipient')"
        )
        table.create_check_constraint(
            op.f("ck_verification_one_subject"),
            "(account_id IS NULL) <> (invitation_id IS NULL)",
        )
    about_invitations = sa.text("invitation_id IS NOT NULL")
    op.create_index(
        "ix_verification_invitation",
        "verification",
        ["invitation_id", "email"],
        postgresql_where=about_invitations,
        sqlite_where=about_invitations,
    )


def _verification(*, after: bool) -> sa.Table:
    """The table in full: SQLite changes one by copying it, and tells nobody of its checks."""
    checks = [
        sa.CheckConstraint(
            f"purpose IN ({PURPOSES}{', ' + repr('recipient') if after else ''})",
            name=op.f("ck_verification_purpose_known"),
        )
    ]
    columns: list[Any] = []
    if after:
        checks.append(
            sa.CheckConstraint(
                "(account_id IS NULL) <> (invitation_id IS NULL)",
                name=op.f("ck_verification_one_subject"),
            )
        )
        columns = [
            sa.Column("invitation_id", sa.Uuid(), nullable=True),
            sa.ForeignKeyConstraint(
                ["invitation_id"],
                ["invitation.id"],
                name=op.f("fk_verification_invitation_id_invitation"),
                ondelete="CASCADE",
            ),
            sa.Index(
                "ix_verification_invitation",
                "invitation_id",
                "email",
                sqlite_where=sa.text("invitation_id IS NOT NULL"),
            ),
        ]
    return sa.Table(
        "verification",
        sa.MetaData(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=after),
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
        *columns,
        *checks,
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_verification_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification")),
        sa.UniqueConstraint("link_digest", name=op.f("uq_verification_link_digest")),
        sa.Index("ix_verification_account", "account_id", "purpose"),
        sa.Index("ix_verification_expires_at", "expires_at"),
    )


def _look_for_proofs() -> None:
    """Believe the audit log alone: staff who registered counted as confirmed without any mail."""
    mail = "action IN ('account.activated', 'email.changed')"
    by_command = f"action = 'account.registered' AND device = '{COMMAND_LINE}'"
    first = "created_at = (SELECT owned_since FROM installation)"
    for proof, which in (
        ("mail", _among_subjects(mail)),
        ("command_line", _among_subjects(by_command)),
        ("first_owner", first),
    ):
        op.execute(
            f"UPDATE account SET email_proof = '{proof}' WHERE confirmed_at IS NOT NULL "  # noqa: S608
            f"AND erased_at IS NULL AND email_proof IS NULL AND ({which})"
        )


def _among_subjects(events: str) -> str:
    """Whether an account is what such an event is about, linked into the chain or not yet."""
    return " OR ".join(
        f"id IN (SELECT subject_id FROM {table} WHERE {events})"  # noqa: S608
        for table in ("audit_event", "audit_unlinked")
    )


def _unify_accounts() -> None:
    """An address that is taken stays with whom it was proven for: the other signs in by username.

    By the e-mail nobody could sign in, for it was looked for in the form it has only now.
    """
    account = _table("account", "id", "created_at", "email_proof", "email")
    for row in _others(account, account.c.created_at, account.c.id):
        new = _canonical(row.email)
        if _is_there(account.c.email == new):
            log.warning("The e-mail of account %s is another's: it needs a new one.", row.id)
            values = {"email": f"{row.id}@renamed.invalid", "email_proof": None}
        elif _is_same_mailbox(row.email, new):
            values = {"email": new}
        else:
            values = {"email": new, "email_proof": None}
        _bind().execute(sa.update(account).where(account.c.id == row.id).values(values))


def _unify_others() -> None:
    for name, key in KEYS.items():
        column = "email" if name == "redemption" else "recipient"
        table = _table(name, *key, column)
        for *found, email in _others(table):
            row = [table.c[part] == value for part, value in zip(key, found, strict=True)]
            _bind().execute(sa.update(table).where(*row).values({column: _canonical(email)}))
    _unify_verifications()
    _unify_mail_refusals()
    _unify_requests()


def _unify_verifications() -> None:
    """What was mailed to another mailbox proves nothing about this one."""
    table = _table("verification", "id", "used_at", "sealed", "email")
    for row in _others(table):
        values: dict[str, Any] = {"email": _canonical(row.email)}
        if not _is_same_mailbox(row.email, values["email"]):
            values |= {"used_at": row.used_at or datetime.now(UTC), "sealed": None}
        _bind().execute(sa.update(table).where(table.c.id == row.id).values(values))


def _unify_mail_refusals() -> None:
    table = _table("mail_refusal", "email")
    for (email,) in _others(table):
        mine, new = table.c.email == email, _canonical(email)
        if _is_there(table.c.email == new):
            _bind().execute(sa.delete(table).where(mine))
        else:
            _bind().execute(sa.update(table).where(mine).values(email=new))


def _unify_requests() -> None:
    """Of two that wait for one mailbox the older one goes on waiting."""
    table = _table("invitation_request", "id", "created_at", "state", "decided_at", "email")
    for row in _others(table, table.c.id):
        values: dict[str, Any] = {"email": _canonical(row.email)}
        waits = sa.and_(table.c.email == values["email"], table.c.state == "waiting")
        if row.state == "waiting" and _is_there(waits):
            values |= {"state": "declined", "decided_at": row.created_at}
        _bind().execute(sa.update(table).where(table.c.id == row.id).values(values))


def _bind() -> sa.Connection:
    return op.get_bind()


def _table(name: str, *columns: str) -> sa.Table:
    types: dict[str, Any] = {
        "id": sa.Uuid(),
        "batch_id": sa.Uuid(),
        "number": sa.Integer(),
        "sealed": sa.LargeBinary(),
    }
    moments = dict.fromkeys(("created_at", "used_at", "decided_at"), sa.DateTime(timezone=True))
    named = [sa.Column(column, (types | moments).get(column, sa.String())) for column in columns]
    return sa.Table(name, sa.MetaData(), *named)


def _others(table: sa.Table, *order: sa.ColumnElement[Any]) -> Iterator[Any]:
    """The rows whose address, the last of their columns, is not in its one form."""
    address = list(table.c)[-1]
    if _bind().dialect.name == "postgresql":
        is_worth_a_look = address.regexp_match("[^ -~]|xn--")
    else:
        is_worth_a_look = sa.or_(address.bool_op("GLOB")("*[^ -~]*"), address.contains("xn--"))
    for row in _bind().execute(sa.select(table).where(is_worth_a_look).order_by(*order)).all():
        if _canonical(row[-1]) != row[-1]:
            yield row


def _is_there(row: sa.ColumnElement[bool]) -> bool:
    return bool(_bind().scalar(sa.select(sa.exists().where(row))))


def _canonical(address: str) -> str:
    """As `portal.domain.accounts.emails.canonical` had it when this was written."""
    whole = _folded(address)
    local, _, domain = whole.rpartition("@")
    try:
        found = validate_email(f"anyone@{domain}", check_deliverability=False)
    except EmailNotValidError:
        return whole[:254]
    return f"{local}@{found.domain}"[:254]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def _is_same_mailbox(before: str, after: str) -> bool:
    """Two ways to write a domain are one domain; before the @ every letter counts."""
    return before.rpartition("@")[0] == after.rpartition("@")[0]
