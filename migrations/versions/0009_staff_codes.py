"""an index of the codes that give a role: whoever is demoted loses theirs, among a million others

Revision: 0009, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

GIVES_A_ROLE = sa.text("grants_role IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    op.create_index(
        "ix_invitation_staff",
        "invitation",
        ["created_by_id"],
        postgresql_where=GIVES_A_ROLE,
        sqlite_where=GIVES_A_ROLE,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_invitation_staff", table_name="invitation")
