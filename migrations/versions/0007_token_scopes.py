"""scopes of API tokens apart, where a token was last used, wrong passwords within a session

Revision: 0007, after 0005
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op

from portal.db.types import UTCDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCOPES = "'read', 'issue', 'manage'"
WITH_SIGN_IN = f"{SCOPES}, 'sign-in', 'read sign-in', 'issue sign-in', 'manage sign-in'"
# A token's last use is written at most once a minute.
USED_EVERY = timedelta(minutes=1)

TOKEN = sa.table(
    "api_token",
    sa.column("id", sa.Uuid()),
    sa.column("account_id", sa.Uuid()),
    sa.column("scope", sa.String()),
    *(sa.column(name, UTCDateTime) for name in ("created_at", "last_used_at", "revoked_at")),
)
ACCOUNT = sa.table(
    "account",
    sa.column("id", sa.Uuid()),
    sa.column("role", sa.String()),
    sa.column("deactivated_at", UTCDateTime),
)
SESSION = sa.table(
    "session",
    *(sa.column(name, sa.String()) for name in ("dialect", "device", "client")),
    sa.column("created_at", UTCDateTime),
)


def upgrade() -> None:
    """Go forward."""
    op.add_column(
        "session",
        sa.Column("wrong_passwords", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("api_token", sa.Column("last_address", sa.String(length=45), nullable=True))
    _allow_scopes(WITH_SIGN_IN)
    _end_tokens_of_whoever_may_have_none()
    _let_apps_go_on_signing_people_in()


def downgrade() -> None:
    """Go back. The former release lets every token sign people in, and knows no smaller scope
    than `read`."""
    op.execute("UPDATE api_token SET scope = 'read' WHERE scope = 'sign-in'")
    op.execute("UPDATE api_token SET scope = replace(scope, ' sign-in', '')")
    _allow_scopes(SCOPES)
    op.drop_column("api_token", "last_address")
    op.drop_column("session", "wrong_passwords")


def _allow_scopes(scopes: str) -> None:
    with op.batch_alter_table("api_token") as table:
        table.drop_constraint(op.f("ck_api_token_scope_known"), type_="check")
        table.create_check_constraint(op.f("ck_api_token_scope_known"), f"scope IN ({scopes})")


def _end_tokens_of_whoever_may_have_none() -> None:
    """Tokens of accounts deactivated or demoted before now would come back with the account."""
    may_have_none = ACCOUNT.c.deactivated_at.is_not(None) | ACCOUNT.c.role.in_(["member", "viewer"])
    op.get_bind().execute(
        sa.update(TOKEN)
        .where(
            TOKEN.c.revoked_at.is_(None),
            TOKEN.c.account_id.in_(sa.select(ACCOUNT.c.id).where(may_have_none)),
        )
        .values(revoked_at=datetime.now(UTC))
    )


def _let_apps_go_on_signing_people_in() -> None:
    """Give `sign-in` to the tokens that apps sign people in with at `/mobile/login`."""
    used = TOKEN.c.revoked_at.is_(None) & TOKEN.c.last_used_at.is_not(None)
    tokens = op.get_bind().execute(sa.select(TOKEN).where(used)).all()
    op.get_bind().execute(
        sa.update(TOKEN)
        .where(TOKEN.c.id.in_(set(_signing_in(tokens))))
        .values(scope=TOKEN.c.scope + " sign-in")
    )


def _signing_in(tokens: Any) -> Iterator[Any]:
    """The ids of those of the tokens that a sign-in of the mobile dialect may have shown.

    Where the app sent no device-id, the session's device is a digest of the token's id and names
    it for certain. Of other sessions it is not stored: any token will do that was there before
    them, and was used at that minute or later.
    """
    columns = SESSION.c.device, SESSION.c.client, SESSION.c.created_at
    sessions = op.get_bind().execute(sa.select(*columns).where(SESSION.c.dialect == "mobile"))
    for device, client, at in sessions:
        named = [token.id for token in tokens if _device(token.id, client or "") == device]
        yield from named or [
            token.id for token in tokens if token.created_at <= at < token.last_used_at + USED_EVERY
        ]


def _device(token: Any, client: str) -> str:
    return sha256(f"mobile token:{token}\n{client}".encode()).hexdigest()
