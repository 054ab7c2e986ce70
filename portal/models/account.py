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
    """The role of an account; each includes the rights of those before it."""

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
        """Whether the role gives access to the staff pages."""
        return self is not Role.MEMBER

    @property
    def phrase(self) -> str:
        """The role with its article, for sentences: `an owner`."""
        return f"{'an' if self[0] in 'ao' else 'a'} {self}"


class EmailProof(StrEnum):
    """How an account's e-mail was proven."""

    MAIL = "mail"  # by a code or link mailed to that address
    FIRST_OWNER = "first_owner"  # there was nobody else yet
    COMMAND_LINE = "command_line"  # vouched for by the operator


class Account(Base):
    """A person who signs in with a password.

    `serial` is the small number by which some dialects know an account. `confirmed_at` is when its
    owner was allowed to sign in: members have to prove their e-mail first, staff do not. Whether
    the e-mail is proven depends on `email_proof` alone, None if not. `avatar` is the digest of the
    current picture.
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
        """Whether this account has the rights of `role`."""
        return self.deactivated_at is None and self.role.rank >= role.rank

    @property
    def email_is_proven(self) -> bool:
        """Whether the e-mail is proven; unproven, it is never asserted and opens nothing."""
        return self.email_proof is not None

    @property
    def full_name(self) -> str:
        """First and last name, or the username without them."""
        return f"{self.first_name} {self.last_name}".strip() or self.username

    @property
    def may_read_codes(self) -> bool:
        """Whether it may see codes; viewers see invitations and results only."""
        return self.may(Role.ADMIN)

    def may_grant(self, role: Role) -> bool:
        """Whether this account may issue invitations that grant `role`."""
        return self.may(Role.ADMIN) and self.may(role)

    @property
    def grantable_roles(self) -> tuple[Role, ...]:
        """All roles that `may_grant` allows."""
        return tuple(role for role in Role if self.may_grant(role))

    def may_act_on(self, *, grants: Role | None, batch_of: UUID | None) -> bool:
        """Whether this account may show, mail, extend, revoke or hand out such an invitation.

        Staff may act on invitations with a role they could grant (`grants` None: no role) and, in a
        batch, only if they may see the batch (`batch_of`: its issuer; None: not in a batch).
        """
        return (
            self.may(Role.ADMIN)
            and (grants is None or self.may_grant(grants))
            and (batch_of is None or self.may_see_batches_of(batch_of))
        )

    def may_see_batches_of(self, issuer: UUID) -> bool:
        """Whether it may see the issuer's batches: owners see all, admins their own."""
        return self.may(Role.OWNER) or (self.may(Role.ADMIN) and self.id == issuer)


class Installation(Base):
    """The single row about this installation; updating it decides who becomes the first owner.

    It also paces bulk mail for all workers: none is sent before `bulk_mail_after` or while paused.
    `key_check` identifies the secret key without revealing anything about it.
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
    """A slot counting the invitations an account issued one by one; the slots add up.

    Those of batches, and of former versions, are in `Account.invitations_issued`.
    """

    __tablename__ = "issued_count"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"), primary_key=True)
    slot: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    issued: Mapped[int]
