"""Every error the portal can explain, by name.

`name` is for programs; `str(error)` is one clear sentence for people. The responses (page,
fragment, JSON) are decided in `portal/http/errors.py` and the dialects, never here.
"""

from datetime import datetime
from uuid import UUID


class PortalError(Exception):
    """An error the portal can explain to people."""

    name = "refused"
    message = "That is not possible."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class NotFound(PortalError):
    """It does not exist, or not for this person: the two look the same."""

    name = "not_found"
    message = "There is nothing here."


class SignInRequired(PortalError):
    """Nobody is signed in."""

    name = "sign_in_required"
    message = "Please sign in first."


class TokenMissing(PortalError):
    """No token was sent."""

    name = "token_missing"
    message = "Show a token in the header Authorization."


class UnknownToken(PortalError):
    """A token in our format that was never issued."""

    name = "unknown_token"
    message = "There is no such token."


class NotAllowed(PortalError):
    """The signed-in account may not do this."""

    name = "not_allowed"
    message = "Your role does not allow this."


class BadInput(PortalError):
    """A value that none of our forms would send."""

    name = "bad_input"
    message = "The portal could not make sense of that request."


class NothingChosen(PortalError):
    """A bulk action with nothing selected."""

    name = "nothing_chosen"
    message = "Choose some invitations first: tick them in the list."


class InvalidEmail(BadInput):
    """Not a valid e-mail address."""

    name = "invalid_email"
    message = "This is not an e-mail address."


class InvalidPhone(BadInput):
    """Not a valid phone number."""

    name = "invalid_phone"
    message = "This is not a telephone number. Begin with + and the country, as in +62 812…"


class PasswordsDiffer(BadInput):
    """The password and its repetition differ."""

    name = "passwords_differ"
    message = "The two passwords are not the same."


class CodeRefused(PortalError):
    """The code cannot be redeemed. Unknown, malformed and revoked codes are never told apart."""

    name = "invalid_code"
    message = "We don't know this code. Check it letter by letter, or ask whoever invited you."

    def __init__(self, message: str | None = None, *, tries_left: int | None = None) -> None:
        super().__init__(message)
        self.tries_left = tries_left


class CodeIncomplete(CodeRefused):
    """Not a complete code yet: nothing was looked up or counted."""

    name = "incomplete_code"
    message = "That is not a whole code yet."

    def __init__(self, typed: int = 0) -> None:
        super().__init__()
        self.typed = typed


class CodeMistyped(CodeRefused):
    """Twelve characters with a wrong check symbol: surely a typo."""

    name = "mistyped_code"
    message = "That does not look right yet. Is there a typo?"


class InvitationExpired(CodeRefused):
    """A known code that has expired."""

    name = "invitation_expired"
    message = "This invitation has expired. Ask for a new one."

    def __init__(self, expired_at: datetime) -> None:
        super().__init__()
        self.expired_at = expired_at


class InvitationUsed(CodeRefused):
    """A known code with no uses left."""

    name = "invitation_used"
    message = "This invitation has already been used. Ask for a new one."


class InvitationNotOpen(CodeRefused):
    """A known code that is not open yet."""

    name = "invitation_not_open"
    message = "This invitation is not open yet."

    def __init__(self, starts_at: datetime) -> None:
        super().__init__()
        self.starts_at = starts_at


class InvitationWithdrawn(CodeRefused):
    """A staff code whose issuer left or may no longer grant the role."""

    name = "invitation_withdrawn"
    message = "This invitation is no longer valid. Ask for a new one."


class WrongRecipient(CodeRefused):
    """A known code bound to somebody else's address."""

    name = "wrong_recipient"
    message = "This invitation was made for another e-mail address."


class RecipientRequired(PortalError):
    """A known code bound to an address, which has to be given along with it."""

    name = "recipient_required"
    message = "This invitation is personal. Enter the e-mail address it was made for."


class RecipientUnproven(PortalError):
    """A known code bound to an address that was typed but not proven.

    Raised whether or not the address `suits`, so that nobody learns whom an invitation is for.
    """

    name = "recipient_unproven"
    message = (
        "This invitation is personal. If it was made for that address, we have sent a code there:"
        " enter it here."
    )

    def __init__(self, invitation: UUID, email: str, *, suits: bool) -> None:
        super().__init__()
        self.invitation = invitation
        self.email = email
        self.suits = suits


class StaffInvitation(PortalError):
    """A known code for staff, which is redeemed by registering."""

    name = "staff_invitation"
    message = "This invitation is for staff. Register with it."


class LockedOut(PortalError):
    """Too many failed attempts; nothing is checked before `until`."""

    name = "locked_out"
    message = "Too many tries. Please wait before you try again."

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until

    def seconds_left(self, now: datetime) -> int:
        """Whole seconds until the next attempt, at least one (for `Retry-After`)."""
        return max(1, -int(-(self.until - now).total_seconds() // 1))


class AskedTooOften(PortalError):
    """More requests for mail or an invitation from one address than people make."""

    name = "asked_too_often"
    message = "Too many requests came from your network. Please try again in an hour."


class TooManyUploads(PortalError):
    """More uploads by one account than people make."""

    name = "too_many_uploads"
    message = "You have sent too many files. Please try again in an hour."


class DecodersBusy(PortalError):
    """All decoders are busy with other files; there is no queue."""

    name = "decoders_busy"
    message = "The portal is busy reading other files. Please try again in a moment."


class TaskSetAside(PortalError):
    """A worker task that kept killing the worker."""

    name = "task_set_aside"


class InvitationRevoked(PortalError):
    """Revocation is final."""

    name = "invitation_revoked"
    message = "This invitation was revoked and cannot be changed any more."


class BatchNotIssued(PortalError):
    """The batch is not issued yet, so it cannot be changed or shown."""

    name = "batch_not_issued"
    message = "This batch is not issued yet. Wait until all of it is there."


class UnsuitableCode(PortalError):
    """A custom code that does not meet the rules."""

    name = "unsuitable_code"


class CodeTaken(PortalError):
    """The code has been issued before."""

    name = "code_taken"
    message = "This code was issued before. Choose another one."


class InvalidCredentials(PortalError):
    """Unknown account or wrong password, with the same message."""

    name = "invalid_credentials"
    message = "The name or the password is not right."


class AccountDeactivated(PortalError):
    """The password is right, but the account is deactivated."""

    name = "account_deactivated"
    message = "This account has been deactivated. Ask an owner of the portal."


class TooManyFailures(PortalError):
    """An account was deactivated, or would have been, after too many wrong passwords in a row."""

    name = "too_many_failures"
    message = "Too many wrong passwords. Ask an owner of the portal."


class SignedInElsewhere(PortalError):
    """The account may use one device at a time and is signed in on another."""

    name = "signed_in_elsewhere"
    message = "You are signed in on another device. Sign out there first."


class SecondFactorRequired(InvalidCredentials):
    """The password is right, but 2FA is required: pages ask for it, API clients cannot."""

    name = "second_factor_required"
    message = "This account signs in with a second step, on the portal's pages."


class SecondFactorRefused(PortalError):
    """A TOTP or recovery code that is wrong or already used, with the same message."""

    name = "second_factor_refused"
    message = "This code is not right, or it was used before."


class SecondFactorDue(PortalError):
    """Staff who must set up 2FA before anything else."""

    name = "second_factor_due"
    message = "The owner of this portal asks staff for a second step. Please set one up."


class PasskeyRefused(PortalError):
    """The browser's response matches no passkey, or no challenge of ours."""

    name = "passkey_refused"
    message = "That passkey did not work. Please try again, or use your password."


class SignInAgain(SignInRequired):
    """Signed in, but not recently enough for this change."""

    name = "sign_in_again"
    message = "Please sign in again first: only a fresh sign-in may change this."


class SessionEnded(SignInRequired):
    """The session was ended after too many wrong passwords within it."""

    name = "session_ended"
    message = "Too many wrong passwords: you are signed out here. Please sign in again."


class EmailUnconfirmed(PortalError):
    """The password is right, but the e-mail has not been confirmed."""

    name = "email_unconfirmed"
    message = "Please confirm your e-mail first, by the code we sent you."


class VerificationRefused(PortalError):
    """A mailed code or link that is wrong, expired, used, or over its attempts: one message."""

    name = "verification_refused"
    message = (
        "This code is not right, or it is too old. Check it, or ask for a new one. "
        "After five wrong codes in a day, codes rest until the next day."
    )


class LastOwner(PortalError):
    """The portal must keep an owner."""

    name = "last_owner"
    message = "This is the only owner. Make somebody else an owner first."


class RegistrationClosed(PortalError):
    """Registration requires an invitation."""

    name = "registration_closed"
    message = "Registration needs an invitation. Ask an owner of the portal for one."


class AccountTaken(PortalError):
    """The e-mail or the username belongs to another account."""

    name = "account_taken"
    message = "An account with this e-mail or username exists already."


class EmailTaken(AccountTaken):
    """The e-mail belongs to another account; only revealed where an API contract requires it."""

    name = "email_taken"
    message = "An account with this e-mail exists already."


class WeakPassword(PortalError):
    """A password that is easy to guess."""

    name = "weak_password"


class PictureRefused(PortalError):
    """Not a picture, or not in a form the portal accepts."""

    name = "picture_refused"
    message = "This is not a picture the portal can read. Send a PNG, JPEG or WebP."


class CodeRequired(PortalError):
    """This device has not redeemed an invitation."""

    name = "code_required"
    message = "Please enter your invitation code first."


class ForeignOrigin(PortalError):
    """A form submitted from another site."""

    name = "foreign_origin"
    message = "This form was not sent from the portal. Open the page again and repeat."


class KeyReused(PortalError):
    """The `Idempotency-Key` was used before with another request."""

    name = "idempotency_key_reused"
    message = "This Idempotency-Key was used for another request. Choose a new one."


class FileRefused(PortalError):
    """A file that cannot be read as a table."""

    name = "file_refused"
    message = "This file cannot be read as a table. Send CSV or XLSX."


class NotMailable(PortalError):
    """Mail makes no sense: there is no mailbox, or the invitation is not open."""

    name = "not_mailable"
    message = "Only an open invitation that is bound to one e-mail address can be mailed."


class MailUnwanted(PortalError):
    """The recipient has unsubscribed by the link in one of our mails."""

    name = "mail_unwanted"
    message = "This address asked not to be written to."


class MailWaiting(PortalError):
    """The same mail is in the outbox already."""

    name = "mail_waiting"
    message = "Its mail is still waiting to be sent."


class MailedOften(PortalError):
    """Too many mails to one mailbox."""

    name = "mailed_often"
    message = "This mailbox was sent three mails again within an hour. Try again later."


class BackupRefused(PortalError):
    """A backup that cannot be taken or restored."""

    name = "backup_refused"
