"""The small numbers that some clients know accounts by."""

import sqlalchemy as sa

from portal.extensions import db
from portal.models import Installation


def draw() -> int:
    """The next number. Others wait for it until the caller's transaction ends."""
    return db.session.scalars(
        sa.update(Installation)
        .values(last_serial=Installation.last_serial + 1)
        .returning(Installation.last_serial)
        .execution_options(synchronize_session=False)
    ).one()
