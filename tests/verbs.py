"""What each role may do with whose invitation (case 81), with checks that find new verbs.

Three tables, each with a search of the code for what it must contain. `make check` compares them
(`tests/test_verbs.py`); the tests of the domain and of the web walk them, row by row, on a portal.

An admin, Alice, meets six invitations: her own; a colleague's; one that grants the role admin; her
own from when she was an owner, which grants the role owner; the owner's, which does too; and one of
a colleague's batch. A verb on a batch, an import or a mail meets those that belong to them.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from flask import Flask

from portal.domain.invitations import codes

TARGETS = ("own", "colleague", "admin", "former", "above", "batch")
COLUMNS = ("viewer", *TARGETS, "owner")

# yes: done · no: `NotAllowed` · none: `NotFound`, hidden from them · -: does not apply
VERBS = """
                                viewer  own  colleague  admin  former  above  batch  owner
    invitations.reveal              no  yes        yes    yes      no     no   none    yes
    invitations.new_code            no  yes         no     no      no     no     no     no
    invitations.revoke              no  yes        yes    yes      no     no   none    yes
    invitations.extend              no  yes        yes    yes      no     no   none    yes
    invitations.get_within_reach    no  yes        yes    yes      no     no   none    yes
    bulk.find                       no  yes        yes    yes      no     no     no    yes
    bulk.revoke                     no  yes        yes    yes      no     no     no    yes
    bulk.extend                     no  yes        yes    yes      no     no     no    yes
    bulk.cards                      no  yes        yes    yes      no     no     no    yes
    bulk.count_unredeemed           no  yes       none   none      no     no   none    yes
    bulk.revoke_unredeemed          no  yes       none   none      no     no   none    yes
    bulk.extend_batch               no  yes       none   none      no     no   none    yes
    bulk.cards_of_batch             no  yes       none   none      no     no   none    yes
    batches.get                   none  yes       none   none     yes   none   none    yes
    resend.resend                   no  yes        yes    yes      no     no   none    yes
    resend.resend_chosen            no  yes        yes    yes      no     no     no    yes
    resend.resend_batch             no  yes       none   none      no     no   none    yes
    resend.retry_batch              no  yes       none   none      no     no   none    yes
    resend.pause                    no  yes       none   none      no     no   none    yes
    resend.resume                   no  yes       none   none      no     no   none    yes
    resend.show                     no   no         no     no      no     no     no    yes
    resend.retry                    no   no         no     no      no     no     no    yes
    worker_tasks.resume_batch       no  yes       none   none      no     no   none    yes
    preview.confirm                 no  yes       none   none      no     no   none    yes
    preview.discard                 no  yes       none   none      no     no   none    yes
    exports.export                  no  yes        yes    yes      no     no     no    yes
"""

# Verbs with an actor that concern something else, or no existing invitation.
OTHER_VERBS = {
    "batches.create": "issues: `invitations.checked` holds the role to one's own",
    "batches.latest": "lists the batches one may see",
    "deletion.deactivate": "about an account",
    "deletion.may_manage": "about an account",
    "deletion.reactivate": "about an account",
    "exports.count": "tells a number; whose batch it is, is asked",
    "exports.withheld": "tells a number; whose batch it is, is asked",
    "uploads.receive": "issues: `invitations.checked` holds the role to one's own",
    "invitations.checked": "is the rule for issuing",
    "invitations.issue": "issues: `invitations.checked` holds the role to one's own",
    "invitations.require_may_change": "is the rule for issuing",
    "invitations.withdraw": "is what happens to codes when their issuer is demoted",
    "api_listing.page": "one's own; codes that give a role above one's own are masked",
    "unlock.addresses": "about addresses",
    "unlock.devices": "about devices; names invitations by their last characters",
    "unlock.release_address": "about addresses",
    "unlock.release_device": "about devices",
    "resend.may_show": "is the rule for mails",
    "resend.pause_all": "about all mails: owners",
    "resend.resume_all": "about all mails: owners",
    "resend.retry_all": "about all mails: owners",
    "passkeys.remove": "about one's own passkey",
    "admin.change_role": "about an account",
    "admin.end_sessions": "about an account",
    "admin.unlock": "about an account",
    "permissions.require_may_act": "is the rule",
    "permissions.require_may_act_on_all": "is the rule",
    "requests.approve": "issues codes that give no role",
    "requests.decline": "about a request",
    "two_factor.remove_all": "about an account",
    "two_factor.require_of_staff": "about accounts",
    "api_tokens.create_api_token": "about one's own token",
    "api_tokens.revoke_api_token": "about one's own token",
    "api_tokens.revoke_all_of": "about an account's tokens",
    "search.export": "about the audit log",
    "worker_tasks.resume": "about a task that is no batch's: owners; `resume_batch` asks",
}

# Functions that touch a code, change an invitation or a batch, or mail a code without a check.
EXCUSED = {
    "api.dialects.invitations.generate": "to whoever has just issued it",
    "cli.issue": "to the host, which has just issued them",
    "cli._write_table": "to the host, which has just issued them",
    "domain.mail.account_mail._notice": "for the mail to its reader",
    "domain.batches.batches._insert_invitations": "issues",
    "domain.batches.batches._queue_mails": "to their recipients, as their issuer asked",
    "domain.batches.batches._stage_next": "issues",
    "domain.batches.batches.publish": "issues",
    "domain.batches.bulk._cards": "its callers ask",
    "domain.crypto.sealing.unseal_all": "opens seals of whatever purpose its caller names",
    "domain.invitations.codes": "names the purpose of the key",
    "domain.invitations.codes.unseal": "opens a seal",
    "domain.invitations.codes.unseal_all": "opens seals",
    "domain.accounts.deletion._delete_belongings": "about one's own account",
    "domain.exports.exports._opened": "opens the seals that `_chunks` leaves",
    "domain.imports.uploads._fail": "reads a file",
    "domain.imports.uploads._lease": "reads a file",
    "domain.imports.uploads._release": "reads a file",
    "domain.imports.uploads._stage": "reads a file",
    "domain.operations.installation._opens_the_newest_code": "tries the key, and shows nothing",
    "domain.invitations.invitations._queue_mail": "to its recipient, as its issuer asked",
    "domain.invitations.invitations.code_of": "opens a seal; its callers answer for who sees it",
    "domain.invitations.invitations.withdraw": "the verb that changed their issuer asked",
    "domain.invitations.invitations": "issues",
    "domain.invitations.api_listing._codes": "opens the seals that `_sealed` leaves",
    "domain.invitations.api_listing._sealed": "leaves the seals of roles one may grant",
    "domain.invitations.api_listing.listed": "its callers ask",
    "domain.mail.resend._queue_again": "its callers ask",
    "domain.mail.resend._set_pause": "its callers ask",
    "domain.invitations.lookup.Offer.code": "to whoever entered it",
    "domain.invitations.lookup._everything_about_a_code": "to whoever entered it",
    "domain.mail.outbox": "notes that a mail was sent",
    "domain.mail.outbox._lease": "the worker's part",
    "domain.mail.outbox._retry": "its callers ask",
    "domain.mail.outbox.queue_many": "its callers ask",
    "domain.imports.preview._claim": "its callers ask",
    "domain.imports.preview._close": "its callers ask",
    "domain.imports.preview._delete_closed": "its callers ask",
    "domain.imports.preview.open_preview": "reads a file",
    "domain.invitations.redemptions": "takes a use",
    "domain.invitations.redemptions.visit": "notes that its link was opened",
    "domain.mail.reminders._queue": "to their recipients, as their issuer asked",
    "domain.invitations.requests.ask": "to its recipient; codes that give no role",
    "mail.invitation_messages.masked": "needs it to mask it",
    "mail.invitation_messages.render": "for the mail to its recipient, or behind `resend.show`",
}

# The responses to a form or an API call with valid input; a + if the response holds the code.
PAGES = """
                                              viewer  own colleague admin former above batch owner
    GET  /admin/invitations/<uuid:id>            200  200       200   200    200   200   200   200
    GET  /admin/invitations/<uuid:id>/issued     403  302       302   302    302   302   302   302
    POST /admin/invitations/<uuid:id>/code       403 200+      200+  200+    403   403   404  200+
    POST /admin/invitations/<uuid:id>/code/fragment 403 200+   200+  200+    403   403   404  200+
    POST /admin/invitations/<uuid:id>/mails      403  303       303   303    403   403   404   303
    GET  /admin/invitations/<uuid:id>/extension  403  200       200   200    403   403   404   200
    GET  /admin/invitations/<uuid:id>/extension/fragment 403 200 200  200    403   403   404   200
    POST /admin/invitations/<uuid:id>/extension  403  303       303   303    403   403   404   303
    GET  /admin/invitations/<uuid:id>/revocation 403  200       200   200    403   403   404   200
    GET  /admin/invitations/<uuid:id>/revocation/fragment 403 200 200 200    403   403   404   200
    POST /admin/invitations/<uuid:id>/revocation 403  303       303   303    403   403   404   303
    POST /admin/selection/cards                  403 200+      200+  200+    403   403   403  200+
    POST /admin/selection/mails/question         403  200       200   200    403   403   403   200
    POST /admin/selection/mails                  403  303       303   303    403   403   403   303
    POST /admin/selection/extension/question     403  200       200   200    403   403   403   200
    POST /admin/selection/extension              403  303       303   303    403   403   403   303
    POST /admin/selection/revocation/question    403  200       200   200    403   403   403   200
    POST /admin/selection/revocation             403  303       303   303    403   403   403   303
    POST /admin/exports/question                 403  200       200   200    200   200   200   200
    POST /admin/exports                          403 200+      200+  200+    403   403   403  200+
    GET  /admin/batches/<uuid:id>                403  200       404   404    200   404   404   200
    GET  /admin/batches/<uuid:id>/progress       403  200       404   404    200   404   404   200
    GET  /admin/batches/<uuid:id>/rows           403  200       404   404    200   404   404   200
    POST /admin/batches/<uuid:id>/cards          403 200+       404   404    403   404   404  200+
    GET  /admin/batches/<uuid:id>/extension      403  200       404   404    403   404   404   200
    GET  /admin/batches/<uuid:id>/extension/fragment 403 200    404   404    403   404   404   200
    POST /admin/batches/<uuid:id>/extension      403  303       404   404    422   404   404   303
    GET  /admin/batches/<uuid:id>/revocation     403  200       404   404    403   404   404   200
    GET  /admin/batches/<uuid:id>/revocation/fragment 403 200   404   404    403   404   404   200
    POST /admin/batches/<uuid:id>/revocation     403  303       404   404    403   404   404   303
    POST /admin/batches/<uuid:id>/resumption     403  303       404   404    403   404   404   303
    POST /admin/batches/<uuid:id>/mails          403  303       404   404    403   404   404   303
    POST /admin/batches/<uuid:id>/mails/retry    403  303       404   404    403   404   404   303
    POST /admin/batches/<uuid:id>/mails/pause    403  303       404   404    403   404   404   303
    POST /admin/batches/<uuid:id>/mails/resumption 403 303      404   404    403   404   404   303
    GET  /admin/imports/<uuid:id>                403  302       404   404    302   404   404   302
    GET  /admin/imports/<uuid:id>/progress       403  200       404   404    200   404   404   200
    POST /admin/imports/<uuid:id>/confirmation   403  303       404   404    303   404   404   303
    POST /admin/imports/<uuid:id>/removal        403  303       404   404    403   404   404   303
    GET  /admin/mails/<uuid:id>                  403  403       403   403    403   403   403   200
    POST /admin/mails/<uuid:id>/code             403  403       403   403    403   403   403  200+
    POST /admin/mails/<uuid:id>/retry            403  403       403   403    403   403   403   303
    GET  /api/v1/admin/invitation/history        401 200+       200   200    200   200   200   200
    GET  /api/v1/admin/invitation/<uuid:id>      401 200+       404   404    403   404   404   404
    POST /api/v1/admin/invitation/<uuid:id>/extend 401 200+     404   404    403   404   404   404
    POST /api/v1/admin/invitation/<uuid:id>/revoke 401 200      404   404    403   404   404   404
"""
ABOUT_INVITATIONS = re.compile(
    r"/admin/(?:(?:invitations|batches|imports|mails)/<|selection/|exports(?:/question)?$)"
    r"|/api/v1/admin/invitation/(?!generate)"
)

# What each command does to invitations; every command is listed here.
COMMANDS = {
    "audit": "about the audit log",
    "backup": "about the whole database",
    "create-owner": "about accounts",
    "db": "about the whole database",
    "doctor": "tells no code",
    "export": "as `exports.export`, for the account it names",
    "import": "issues: `invitations.checked` holds the role to one's own",
    "issue": "issues: `invitations.checked` holds the role to one's own",
    "keys": "about the keys of tokens",
    "outbox": "the worker's part",
    "prune": "about what is old",
    "restore": "about the whole database",
    "routes": "of Flask",
    "run": "of Flask",
    "shell": "of Flask",
}

GUARDS = {
    "get_within_reach",
    "is_within_reach_of",
    "may_show",
    "require_may_act",
    "require_may_act_on_all",
    "within_reach_of",
}
OPENING = {"unseal", "unseal_all", "code_of", "contents"}
CHANGING = {"update", "delete", "insert"}
CHANGED = {"Invitation", "_invitation", "Batch", "Mail"}
MAILING = {"queue", "queue_many"}


def rows(table: str) -> dict[str, dict[str, str]]:
    """Parse a table: the cells of each row by column."""
    heading, *lines = [line.split() for line in table.splitlines() if line.strip()]
    assert tuple(heading) == COLUMNS
    width = len(COLUMNS)
    return {
        " ".join(line[:-width]): dict(zip(COLUMNS, line[-width:], strict=True)) for line in lines
    }


def verbs(package: Path) -> set[str]:
    """The public functions of the domain with an actor (`by`): `module.function`."""
    return {
        f"{path.stem}.{function.name}"
        for path in sorted((package / "domain").rglob("*.py"))
        for function in ast.parse(path.read_text()).body
        if isinstance(function, ast.FunctionDef)
        and not function.name.startswith("_")
        and any(argument.arg == "by" for argument in ast.walk(function.args) if _is_arg(argument))
    }


def unguarded(package: Path) -> set[str]:
    """Functions that open a seal, change an invitation or mail one, without a check of their own.

    Named by module and function, or by module alone for code outside of functions.
    """
    return {
        name
        for path in sorted(package.rglob("*.py"))
        for name, node in _functions(path, package)
        if _touches(node) and not _calls(node, GUARDS)
    }


def addresses(app: Flask) -> set[str]:
    """Every `METHOD rule` that concerns invitations, their batches, imports or mails."""
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if ABOUT_INVITATIONS.match(rule.rule)
    }


def _is_arg(node: ast.AST) -> bool:
    return isinstance(node, ast.arg)


def _functions(path: Path, package: Path) -> Iterator[tuple[str, ast.AST]]:
    parts = path.relative_to(package).with_suffix("").parts
    module = ".".join(part for part in parts if part != "__init__")
    yield from _within(module, ast.parse(path.read_text()).body)


def _within(name: str, body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _within(f"{name}.{node.name}", node.body)
        elif isinstance(node, ast.FunctionDef):
            yield f"{name}.{node.name}", node
        else:
            yield name, node


def _touches(function: ast.AST) -> bool:
    return any(
        _opens(node) or _changes(node) or _mails(node)
        for node in ast.walk(function)
        if isinstance(node, ast.Call | ast.Attribute | ast.Assign | ast.Constant)
    )


def _opens(node: ast.AST) -> bool:
    """A seal is opened by one of these; and is worth nothing to whoever does not read it.

    Other secrets are unsealed by `sealing` for the purpose their module calls `_SEAL`, and only
    `codes` may spell that of invitations.
    """
    if isinstance(node, ast.Constant):
        return node.value == codes.SEAL
    if isinstance(node, ast.Call):
        purposes = [ast.unparse(each.value) for each in node.keywords if each.arg == "purpose"]
        of_other_secrets = purposes == ["_SEAL"] and ast.unparse(node.func).startswith("sealing.")
        return _called(node) in OPENING and not of_other_secrets
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "sealed"
        and ast.unparse(node.value) in {"Invitation", "invitation", "offer"}
    )


def _changes(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return any(ast.unparse(target).startswith("invitation.") for target in node.targets)
    return (
        isinstance(node, ast.Call)
        and _called(node) in CHANGING
        and bool(node.args)
        and ast.unparse(node.args[0]).partition(".")[0] in CHANGED
    )


def _mails(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and _called(node) in MAILING
        and bool(node.args)
        and ast.unparse(node.args[0]) in {"'invitation'", "kind"}
    )


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def _calls(function: ast.AST, names: set[str]) -> bool:
    return any(isinstance(node, ast.Call) and _called(node) in names for node in ast.walk(function))
