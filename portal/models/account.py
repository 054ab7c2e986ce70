"""Accounts: staff who run the portal, and members."""

from datetime import datetime
from enum import StrEnum
from functools import cached_property
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db.types import UTCDateTime, new_id, one_of
from portal.extensions import Base


class Role(StrEnum):
    """What an account may do; each may do all that the ones before it may."""

    MEMBER = "member"
    VIEWER = "viewer"
    ADMIN = "admin"
    OWNER = "owner"

    @cached_property
    def rank(self) -> int:
        """0 for a member, up to 3 for an owner."""
        return list(Role).index(self)

    @property
    def is_staff(self) -> bool:
        """Whether the role opens the staff pages at all."""
        return self is not Role.MEMBER

    @property
    def phrase(self) -> str:
        """The role as it stands in a sentence: `an owner`."""
        return f"{'an' if self[0] in 'ao' else 'a'} {self}"


class EmailProof(StrEnum):
    """Why an account's e-mail counts as its own."""

    MAIL = "mail"  # a code or a link that was mailed to that very address came back
    FIRST_OWNER = "first_owner"  # nobody was there to doubt it
    COMMAND_LINE = "command_line"  # whoever runs the server vouched for it


class Account(Base):
    """One person who signs in with a password.

    `serial` is the small number some dialects know an account by. `confirmed_at` says since when
    it lets its owner in: members prove their e-mail first, staff need not. Whether the e-mail is
    theirs is said by `email_proof` alone, None as long as nobody knows. `avatar` is the digest of
    the picture that is shown.
    """

    __tablename__ = "account"
    __table_args__ = (
        sa.CheckConstraint("role IN ('member', 'viewer', 'admin', 'owner')", name="role_known"),
        sa.CheckConstraint(
            "email_proof IN ('mail', 'first_owner', 'command_line')", name="email_proof_known"
        ),
        sa.Index("uq_account_serial", "serial", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    serial: Mapped[int | None]
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    username: Mapped[str] = mapped_column(sa.String(32))
    username_key: Mapped[str] = mapped_column(sa.String(32), unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    role: Mapped[Role] = mapped_column(one_of(Role))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    invitations_issued: Mapped[int] = mapped_column(default=0, server_default=sa.text("0"))
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    email_proof: Mapped[EmailProof | None] = mapped_column(one_of(EmailProof))
    deactivated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    erased_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failed_sign_ins: Mapped[int] = mapped_column(default=0, server_default=sa.text("0"))

    first_name: Mapped[str] = mapped_column(sa.String(80), default="", server_default="")
    last_name: Mapped[str] = mapped_column(sa.String(80), default="", server_default="")
    phone: Mapped[str | None] = mapped_column(sa.String(20))
    language: Mapped[str] = mapped_column(sa.String(2), default="en", server_default="en")
    avatar: Mapped[str | None] = mapped_column(sa.String(64))

    totp_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary(128))
    totp_confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    totp_last_step: Mapped[int | None] = mapped_column(sa.BigInteger)

    def may(self, role: Role) -> bool:
        """Whether this account may do what `role` may."""
        return self.deactivated_at is None and self.role.rank >= role.rank

    @property
    def email_is_proven(self) -> bool:
        """Whether the e-mail is known to be theirs: no other is asserted, or opens anything."""
        return self.email_proof is not None

    @property
    def full_name(self) -> str:
        """First and last name; the username of whoever gave none."""
        return f"{self.first_name} {self.last_name}".strip() or self.username

    @property
    def may_read_codes(self) -> bool:
        """Viewers see what became of invitations, never the codes themselves."""
        return self.may(Role.ADMIN)

    def may_grant(self, role: Role) -> bool:
        """Whether this account may issue invitations that give somebody `role`."""
        return self.may(Role.ADMIN) and self.may(role)

    @property
    def grantable_roles(self) -> tuple[Role, ...]:
        """All roles that `may_grant` allows."""
        return tuple(role for role in Role if self.may_grant(role))

    def may_act_on(self, *, grants: Role | None, batch_of: UUID | None) -> bool:
        """Whether this account may show, mail, extend, revoke or hand out such an invitation.

        Staff act on what they could grant themselves (`grants` None: no role), and on those of a
        batch only if they may see the batch (`batch_of`: who issued it; None: it is of no batch).
        """
        return (
            self.may(Role.ADMIN)
            and (grants is None or self.may_grant(grants))
            and (batch_of is None or self.may_see_batches_of(batch_of))
        )

    def may_see_batches_of(self, issuer: UUID) -> bool:
        """Owners see every batch, other staff who issue codes their own."""
        return self.may(Role.OWNER) or (self.may(Role.ADMIN) and self.id == issuer)


class Installation(Base):
    """The one row about this portal itself: who came first is decided by updating it.

    All workers keep the pace of bulk mail by it: none is sent before `bulk_mail_after`, nor while
    it is paused.
    `key_check` tells the secret key the portal runs with from others, and gives nothing of it away.
    """

    __tablename__ = "installation"
    __table_args__ = (sa.CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owned_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_serial: Mapped[int] = mapped_column(default=0, server_default=sa.text("0"))
    second_factor_required: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    bulk_mail_after: Mapped[datetime | None] = mapped_column(UTCDateTime)
    bulk_mail_paused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    key_check: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32))
    key_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    backed_up_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    pruned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class IssuedCount(Base):
    """How many invitations an account issued one by one: the sum of its slots.

    Those of whole batches, and of former versions, are in `Account.invitations_issued`.
    """

    __tablename__ = "issued_count"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"), primary_key=True)
    slot: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    issued: Mapped[int]
