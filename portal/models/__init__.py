"""The tables, and the questions that rows answer about themselves."""

from portal.models.account import Account, EmailProof, Installation, IssuedCount, Role
from portal.models.api_token import ApiToken, IssueReceipt, Scope
from portal.models.attempt_counter import AttemptCounter
from portal.models.audit import AuditEvent, AuditHead, UnlinkedEvent
from portal.models.avatar import Avatar
from portal.models.batch import Batch, BatchRow, BatchState, BatchUpload
from portal.models.invitation import Invitation, PendingRedemption, Redemption, Status
from portal.models.invitation_request import InvitationRequest, RequestState
from portal.models.outbox import Letter, Mail, MailRefusal, MailState
from portal.models.refused_guess import RefusedGuess
from portal.models.second_factor import Passkey, RecoveryCode
from portal.models.session import Session, Surface
from portal.models.signing import RefreshToken, SigningKey
from portal.models.verification import Purpose, Verification
from portal.models.worker_task import TaskKind, WorkerTask

__all__ = [
    "Account",
    "ApiToken",
    "AttemptCounter",
    "AuditEvent",
    "AuditHead",
    "Avatar",
    "Batch",
    "BatchRow",
    "BatchState",
    "BatchUpload",
    "EmailProof",
    "Installation",
    "Invitation",
    "InvitationRequest",
    "IssueReceipt",
    "IssuedCount",
    "Letter",
    "Mail",
    "MailRefusal",
    "MailState",
    "Passkey",
    "PendingRedemption",
    "Purpose",
    "RecoveryCode",
    "Redemption",
    "RefreshToken",
    "RefusedGuess",
    "RequestState",
    "Role",
    "Scope",
    "Session",
    "SigningKey",
    "Status",
    "Surface",
    "TaskKind",
    "UnlinkedEvent",
    "Verification",
    "WorkerTask",
]
