"""Every way the portal says no, by name.

`name` is for programs; `str(error)` is one clear sentence for a person. How each is answered
(page, fragment, JSON) is decided in `portal/http/errors.py` and the dialects, never here.
"""

from datetime import datetime
from uuid import UUID


class PortalError(Exception):
    """A refusal the portal can explain."""

    name = "refused"
    message = "That is not possible."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class NotFound(PortalError):
    """There is no such thing, or not for this person: the two look the same."""

    name = "not_found"
    message = "There is nothing here."


class SignInRequired(PortalError):
    """Nobody is signed in."""

    name = "sign_in_required"
    message = "Please sign in first."


class TokenMissing(PortalError):
    """No token was shown at all."""

    name = "token_missing"
    message = "Show a token in the header Authorization."


class UnknownToken(PortalError):
    """A token that looks like ours, and that nobody was given."""

    name = "unknown_token"
    message = "There is no such token."


class NotAllowed(PortalError):
    """Somebody is signed in who may not do this."""

    name = "not_allowed"
    message = "Your role does not allow this."


class BadInput(PortalError):
    """A value that no form of ours would send."""

    name = "bad_input"
    message = "The portal could not make sense of that request."


class NothingChosen(PortalError):
    """Something was to be done with those that are ticked, and none is."""

    name = "nothing_chosen"
    message = "Choose some invitations first: tick them in the list."


class InvalidEmail(BadInput):
    """Not an e-mail address."""

    name = "invalid_email"
    message = "This is not an e-mail address."


class InvalidPhone(BadInput):
    """Not a telephone number."""

    name = "invalid_phone"
    message = "This is not a telephone number. Begin with + and the country, as in +62 812…"


class PasswordsDiffer(BadInput):
    """The password and its repetition are not the same."""

    name = "passwords_differ"
    message = "The two passwords are not the same."


class CodeRefused(PortalError):
    """This code lets nobody in. Unknown, malformed and revoked codes are told apart nowhere."""

    name = "invalid_code"
    message = "We don't know this code. Check it letter by letter, or ask whoever invited you."

    def __init__(self, message: str | None = None, *, tries_left: int | None = None) -> None:
        super().__init__(message)
        self.tries_left = tries_left


class CodeIncomplete(CodeRefused):
    """Not yet a whole code: nothing was looked up and nothing counted."""

    name = "incomplete_code"
    message = "That is not a whole code yet."

    def __init__(self, typed: int = 0) -> None:
        super().__init__()
        self.typed = typed


class CodeMistyped(CodeRefused):
    """Twelve characters whose check symbol does not fit: surely a slip of the finger."""

    name = "mistyped_code"
    message = "That does not look right yet. Is there a typo?"


class InvitationExpired(CodeRefused):
    """A real code, too late."""

    name = "invitation_expired"
    message = "This invitation has expired. Ask for a new one."

    def __init__(self, expired_at: datetime) -> None:
        super().__init__()
        self.expired_at = expired_at


class InvitationUsed(CodeRefused):
    """A real code with no use left."""

    name = "invitation_used"
    message = "This invitation has already been used. Ask for a new one."


class InvitationNotOpen(CodeRefused):
    """A real code, too early."""

    name = "invitation_not_open"
    message = "This invitation is not open yet."

    def __init__(self, starts_at: datetime) -> None:
        super().__init__()
        self.starts_at = starts_at


class InvitationWithdrawn(CodeRefused):
    """A real code for staff, whose issuer left or may not give that role any more."""

    name = "invitation_withdrawn"
    message = "This invitation is no longer valid. Ask for a new one."


class WrongRecipient(CodeRefused):
    """A real code, bound to somebody else's address."""

    name = "wrong_recipient"
    message = "This invitation was made for another e-mail address."


class RecipientRequired(PortalError):
    """A real code bound to an address: it opens with that address beside it."""

    name = "recipient_required"
    message = "This invitation is personal. Enter the e-mail address it was made for."


class RecipientUnproven(PortalError):
    """A real code bound to an address, and a typed address, which alone proves nothing.

    Said whether or not the address `suits`, so that nobody learns whom an invitation is for.
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
    """A real code that makes a member of staff: it is used up by registering."""

    name = "staff_invitation"
    message = "This invitation is for staff. Register with it."


class LockedOut(PortalError):
    """Too many wrong tries; nothing is evaluated until `until`."""

    name = "locked_out"
    message = "Too many tries. Please wait before you try again."

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until

    def seconds_left(self, now: datetime) -> int:
        """Whole seconds until the next try, at least one (for `Retry-After`)."""
        return max(1, -int(-(self.until - now).total_seconds() // 1))


class AskedTooOften(PortalError):
    """More requests for an invitation from one address than people make."""

    name = "asked_too_often"
    message = "Too many requests came from your network. Please try again in an hour."


class TooManyUploads(PortalError):
    """One account sent more files than people send."""

    name = "too_many_uploads"
    message = "You have sent too many files. Please try again in an hour."


class DecodersBusy(PortalError):
    """Other people's files are being read; nobody waits in line for that."""

    name = "decoders_busy"
    message = "The portal is busy reading other files. Please try again in a moment."


class TaskSetAside(PortalError):
    """A task of the worker that killed it again and again."""

    name = "task_set_aside"


class InvitationRevoked(PortalError):
    """What is revoked stays revoked."""

    name = "invitation_revoked"
    message = "This invitation was revoked and cannot be changed any more."


class BatchNotIssued(PortalError):
    """What is not there yet can be neither changed nor shown."""

    name = "batch_not_issued"
    message = "This batch is not issued yet. Wait until all of it is there."


class UnsuitableCode(PortalError):
    """A code of one's own that cannot serve."""

    name = "unsuitable_code"


class CodeTaken(PortalError):
    """The same code was issued before."""

    name = "code_taken"
    message = "This code was issued before. Choose another one."


class InvalidCredentials(PortalError):
    """Unknown name, wrong password: one answer."""

    name = "invalid_credentials"
    message = "The name or the password is not right."


class AccountDeactivated(PortalError):
    """The password is right, but the account was switched off."""

    name = "account_deactivated"
    message = "This account has been deactivated. Ask an owner of the portal."


class TooManyFailures(PortalError):
    """So many wrong passwords in a row that an account was switched off, or would have been."""

    name = "too_many_failures"
    message = "Too many wrong passwords. Ask an owner of the portal."


class SignedInElsewhere(PortalError):
    """This account may be signed in on one device at a time, and is, on another."""

    name = "signed_in_elsewhere"
    message = "You are signed in on another device. Sign out there first."


class SecondFactorRequired(InvalidCredentials):
    """The password is right, and not enough: pages ask for the second step, programs cannot."""

    name = "second_factor_required"
    message = "This account signs in with a second step, on the portal's pages."


class SecondFactorRefused(PortalError):
    """A code of the app or a recovery code that is wrong, or was used before: one answer."""

    name = "second_factor_refused"
    message = "This code is not right, or it was used before."


class SecondFactorDue(PortalError):
    """Staff who have to set up a second factor before anything else."""

    name = "second_factor_due"
    message = "The owner of this portal asks staff for a second step. Please set one up."


class PasskeyRefused(PortalError):
    """What the browser answered fits no passkey, or no question of ours."""

    name = "passkey_refused"
    message = "That passkey did not work. Please try again, or use your password."


class SignInAgain(SignInRequired):
    """Somebody is signed in, but not lately enough for what they want to change."""

    name = "sign_in_again"
    message = "Please sign in again first: only a fresh sign-in may change this."


class SessionEnded(SignInRequired):
    """Too many wrong passwords were entered within a session, and it was ended."""

    name = "session_ended"
    message = "Too many wrong passwords: you are signed out here. Please sign in again."


class EmailUnconfirmed(PortalError):
    """The password is right, but nobody has shown yet that the mailbox is theirs."""

    name = "email_unconfirmed"
    message = "Please confirm your e-mail first, by the code we sent you."


class VerificationRefused(PortalError):
    """A mailed code or link that is wrong, too old, used, or tried too often: one answer."""

    name = "verification_refused"
    message = (
        "This code is not right, or it is too old. Check it, or ask for a new one. "
        "After five wrong codes in a day, codes rest until the next day."
    )


class LastOwner(PortalError):
    """Somebody must own the portal."""

    name = "last_owner"
    message = "This is the only owner. Make somebody else an owner first."


class RegistrationClosed(PortalError):
    """Nobody registers without an invitation."""

    name = "registration_closed"
    message = "Registration needs an invitation. Ask an owner of the portal for one."


class AccountTaken(PortalError):
    """The e-mail or the username belongs to an account already."""

    name = "account_taken"
    message = "An account with this e-mail or username exists already."


class EmailTaken(AccountTaken):
    """The e-mail belongs to an account already: only told where a contract asks for it."""

    name = "email_taken"
    message = "An account with this e-mail exists already."


class WeakPassword(PortalError):
    """A password that would be guessed."""

    name = "weak_password"


class PictureRefused(PortalError):
    """Not a picture, or not one the portal takes."""

    name = "picture_refused"
    message = "This is not a picture the portal can read. Send a PNG, JPEG or WebP."


class CodeRequired(PortalError):
    """Nobody was let in on this device."""

    name = "code_required"
    message = "Please enter your invitation code first."


class ForeignOrigin(PortalError):
    """A form that another site sent."""

    name = "foreign_origin"
    message = "This form was not sent from the portal. Open the page again and repeat."


class KeyReused(PortalError):
    """The same `Idempotency-Key` with another request."""

    name = "idempotency_key_reused"
    message = "This Idempotency-Key was used for another request. Choose a new one."


class FileRefused(PortalError):
    """A file that cannot be read as a table."""

    name = "file_refused"
    message = "This file cannot be read as a table. Send CSV or XLSX."


class NotMailable(PortalError):
    """A mail would help nobody: there is no mailbox, or the invitation is not open."""

    name = "not_mailable"
    message = "Only an open invitation that is bound to one e-mail address can be mailed."


class MailUnwanted(PortalError):
    """The recipient followed the link in a mail of ours and asked for no more."""

    name = "mail_unwanted"
    message = "This address asked not to be written to."


class MailWaiting(PortalError):
    """The same mail is in the outbox already."""

    name = "mail_waiting"
    message = "Its mail is still waiting to be sent."


class MailedOften(PortalError):
    """A mailbox is not a drum."""

    name = "mailed_often"
    message = "This mailbox was sent three mails again within an hour. Try again later."


class BackupRefused(PortalError):
    """A backup that cannot be taken, or not be put in place."""

    name = "backup_refused"
