"""Account serials: the small numbers by which some clients know accounts."""

import sqlalchemy as sa

from portal.extensions import db
from portal.models import Installation


def draw() -> int:
    """The next serial. Other callers wait for it until this transaction ends."""
    return db.session.scalars(
        sa.update(Installation)
        .values(last_serial=Installation.last_serial + 1)
        .returning(Installation.last_serial)
        .execution_options(synchronize_session=False)
    ).one()
