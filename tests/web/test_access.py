"""Every address, for everybody (case 60): one that is not in these tables fails the build."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.invitations.invitations import Terms, issue
from portal.domain.tokens import api_tokens as tokens
from portal.domain.tokens import jwt
from portal.extensions import db
from portal.http.guards import guard_of, scope_of
from portal.models import Account, Role, Scope
from tests import factories
from tests.pages import PageClient

# What each is answered that sends an empty form, with a good CSRF token. 303 leads strangers to
# the sign-in or to the landing page; 422 is a form that was looked at; nobody's token is 404.
WITHOUT_TOKEN = {"POST /no-more-mail/<token>"}  # mail programs ask for people so (RFC 8058)
PEOPLE = ("stranger", "invitee", "member", "viewer", "admin", "owner")
PAGES = """
                                                        stranger invitee member viewer admin owner
    GET  /                                                   200     302    200    200   200   200
    POST /                                                   422     422    422    422   422   422
    POST /validation                                         200     200    200    200   200   200
    GET  /welcome                                            303     200    303    303   303   303
    POST /welcome/departure                                  303     303    303    303   303   303

    GET  /login                                              200     200    200    200   200   200
    POST /login                                              422     422    422    422   422   422
    GET  /register                                           200     200    200    200   200   200
    POST /register                                           422     422    422    422   422   422
    GET  /signup                                             200     200    200    200   200   200
    POST /signup                                             422     422    422    422   422   422
    GET  /activation                                         200     200    200    200   200   200
    POST /activation                                         422     422    422    422   422   422
    POST /activation/mail                                    303     303    303    303   303   303
    GET  /activation/<token>                                 404     404    404    404   404   404
    POST /activation/<token>                                 422     422    422    422   422   422
    POST /activation/<token>/mail                            404     404    404    404   404   404
    GET  /reset                                              200     200    200    200   200   200
    POST /reset                                              422     422    422    422   422   422
    GET  /reset/code                                         200     200    200    200   200   200
    POST /reset/code                                         422     422    422    422   422   422

    GET  /account                                            303     303    200    200   200   200
    GET  /account/profile                                    303     303    200    200   200   200
    POST /account/profile                                    303     303    422    422   422   422
    GET  /account/password                                   303     303    200    200   200   200
    POST /account/password                                   303     303    422    422   422   422
    GET  /account/email                                      303     303    200    200   200   200
    POST /account/email                                      303     303    422    422   422   422
    GET  /account/email/confirmation                         303     303    200    200   200   200
    POST /account/email/confirmation                         303     303    422    422   422   422
    POST /account/email/proof                                303     303    303    303   303   303
    GET  /account/email/<token>                              404     404    404    404   404   404
    POST /account/email/<token>                              422     422    422    422   422   422
    GET  /account/sessions                                   303     303    200    200   200   200
    POST /account/sessions/<uuid:id>/closure                 303     303    404    404   404   404
    POST /account/sessions/closure                           303     303    303    303   303   303
    POST /account/export                                     303     303    200    200   200   200
    GET  /account/deletion                                   303     303    200    200   200   200
    POST /account/deletion                                   303     303    422    422   422   422

    POST /logout                                             303     303    303    303   303   303

    GET  /login/second-step                                  303     303    303    303   303   303
    POST /login/second-step                                  303     303    303    303   303   303
    GET  /login/passkey/options                              200     200    200    200   200   200
    POST /login/passkey                                      422     422    422    422   422   422

    GET  /account/security                                   303     303    200    200   200   200
    POST /account/security/app                               303     303    303    303   303   303
    GET  /account/security/app                               303     303    200    200   200   200
    POST /account/security/app/confirmation                  303     303    422    422   422   422
    POST /account/security/app/removal                       303     303    303    303   303   303
    POST /account/security/recovery-codes                    303     303    403    403   403   403
    GET  /account/security/passkeys/options                  303     303    200    200   200   200
    POST /account/security/passkeys                          303     303    422    422   422   422
    POST /account/security/passkeys/<uuid:id>/removal        303     303    404    404   404   404

    GET  /account/picture                                    303     303    200    200   200   200
    POST /account/picture                                    303     303    422    422   422   422
    POST /account/picture/removal                            303     303    303    303   303   303
    GET  /avatars/<string(length=64):digest>/<int:size>      404     404    404    404   404   404

    GET  /admin/                                             303     303    403    200   200   200
    GET  /admin/overview                                     303     303    403    200   200   200
    GET  /admin/invitations                                  303     303    403    200   200   200
    GET  /admin/invitations/history                          303     303    403    200   200   200
    GET  /admin/invitations/<uuid:id>                        303     303    403    200   200   200
    GET  /admin/invitations/new                              303     303    403    403   200   200
    POST /admin/invitations                                  303     303    403    403   422   422
    GET  /admin/invitations/<uuid:id>/issued                 303     303    403    403   302   302
    POST /admin/invitations/<uuid:id>/code                   303     303    403    403   200   200
    POST /admin/invitations/<uuid:id>/code/fragment          303     303    403    403   200   200
    GET  /admin/invitations/<uuid:id>/revocation             303     303    403    403   200   200
    GET  /admin/invitations/<uuid:id>/revocation/fragment    303     303    403    403   200   200
    POST /admin/invitations/<uuid:id>/revocation             303     303    403    403   303   303
    GET  /admin/invitations/<uuid:id>/extension              303     303    403    403   200   200
    GET  /admin/invitations/<uuid:id>/extension/fragment     303     303    403    403   200   200
    POST /admin/invitations/<uuid:id>/extension              303     303    403    403   422   422

    POST /admin/selection/revocation/question                303     303    403    403   422   422
    POST /admin/selection/revocation                         303     303    403    403   422   422
    POST /admin/selection/extension/question                 303     303    403    403   422   422
    POST /admin/selection/extension                          303     303    403    403   422   422
    POST /admin/selection/cards                              303     303    403    403   422   422
    POST /admin/selection/mails/question                     303     303    403    403   422   422
    POST /admin/selection/mails                              303     303    403    403   422   422

    GET  /admin/batches                                      303     303    403    403   200   200
    GET  /admin/batches/new                                  303     303    403    403   200   200
    POST /admin/batches                                      303     303    403    403   422   422
    GET  /admin/batches/<uuid:id>                            303     303    403    403   404   200
    GET  /admin/batches/<uuid:id>/progress                   303     303    403    403   404   200
    GET  /admin/batches/<uuid:id>/rows                       303     303    403    403   404   200
    GET  /admin/batches/<uuid:id>/revocation                 303     303    403    403   404   200
    GET  /admin/batches/<uuid:id>/revocation/fragment        303     303    403    403   404   200
    POST /admin/batches/<uuid:id>/revocation                 303     303    403    403   404   303
    GET  /admin/batches/<uuid:id>/extension                  303     303    403    403   404   200
    GET  /admin/batches/<uuid:id>/extension/fragment         303     303    403    403   404   200
    POST /admin/batches/<uuid:id>/extension                  303     303    403    403   404   422
    POST /admin/batches/<uuid:id>/cards                      303     303    403    403   404   200
    POST /admin/batches/<uuid:id>/resumption                 303     303    403    403   404   303
    POST /admin/batches/<uuid:id>/mails                      303     303    403    403   404   303
    POST /admin/batches/<uuid:id>/mails/retry                303     303    403    403   404   303
    POST /admin/batches/<uuid:id>/mails/pause                303     303    403    403   404   303
    POST /admin/batches/<uuid:id>/mails/resumption           303     303    403    403   404   303

    GET  /admin/imports/new                                  303     303    403    403   200   200
    POST /admin/imports                                      303     303    403    403   422   422
    GET  /admin/imports/<uuid:id>                            303     303    403    403   404   404
    GET  /admin/imports/<uuid:id>/progress                   303     303    403    403   404   404
    POST /admin/imports/<uuid:id>/confirmation               303     303    403    403   404   404
    POST /admin/imports/<uuid:id>/removal                    303     303    403    403   404   404

    GET  /admin/exports/new                                  303     303    403    200   200   200
    POST /admin/exports/question                             303     303    403    422   422   422
    POST /admin/exports                                      303     303    403    200   200   200
    GET  /request                                            404     404    404    404   404   404
    POST /request                                            404     404    404    404   404   404
    GET  /request/received                                   404     404    404    404   404   404
    GET  /admin/requests                                     303     303    403    403   200   200
    GET  /admin/requests/<any(waiting,approved,declined):state> 303  303    403    403   200   200
    POST /admin/requests/approval                            303     303    403    403   303   303
    POST /admin/requests/refusal                             303     303    403    403   303   303

    GET  /admin/people                                       303     303    403    403   200   200
    GET  /admin/people/table                                 303     303    403    403   200   200
    GET  /admin/people/<uuid:id>                             303     303    403    403   404   404
    POST /admin/people/<uuid:id>/role                        303     303    403    403   403   404
    POST /admin/people/<uuid:id>/deactivation                303     303    403    403   404   404
    POST /admin/people/<uuid:id>/activation                  303     303    403    403   404   404
    POST /admin/people/<uuid:id>/departure                   303     303    403    403   404   404
    POST /admin/people/<uuid:id>/unlocking                   303     303    403    403   404   404

    POST /admin/people/<uuid:id>/second-step/removal         303     303    403    403   403   404
    POST /admin/people/second-step                           303     303    403    403   403   303

    GET  /admin/tokens                                       303     303    403    403   200   200
    POST /admin/tokens                                       303     303    403    403   422   422
    POST /admin/tokens/<uuid:id>/revocation                  303     303    403    403   404   404

    GET  /admin/mails                                        303     303    403    403   403   200
    GET  /admin/mails/<uuid:id>                              303     303    403    403   403   404
    POST /admin/mails/<uuid:id>/code                         303     303    403    403   403   404
    POST /admin/mails/<uuid:id>/retry                        303     303    403    403   403   404
    POST /admin/mails/retry                                  303     303    403    403   403   303
    POST /admin/mails/pause                                  303     303    403    403   403   303
    POST /admin/mails/resumption                             303     303    403    403   403   303
    POST /admin/mails/preview                                303     303    403    403   200   200
    POST /admin/mails/preview/fragment                       303     303    403    403   200   200
    POST /admin/invitations/<uuid:id>/mails                  303     303    403    403   303   303

    GET  /no-more-mail/<token>                               404     404    404    404   404   404
    POST /no-more-mail/<token>                               404     404    404    404   404   404

    GET  /admin/locks                                        303     303    403    403   200   200
    POST /admin/locks/devices/release                        303     303    403    403   404   404
    POST /admin/locks/addresses/release                      303     303    403    403   404   404

    GET  /admin/audit                                        303     303    403    403   403   200
    GET  /admin/audit/events                                 303     303    403    403   403   200
    POST /admin/audit/export                                 303     303    403    403   403   200
    GET  /admin/doctor                                       303     303    403    403   403   200
    POST /admin/doctor/test-mail                             303     303    403    403   403   200
    POST /admin/doctor/<any(reminders,chain,retention):kind>/resumption 303 303 403 403 403 303

    GET  /static/<path:filename>                             200     200    200    200   200   200
    GET  /okami/auth/active/<token>                          200     200    200    200   200   200
    POST /okami/auth/active/<token>                          422     422    422    422   422   422
    GET  /okami/auth/active/resend/<token>                   200     200    200    200   200   200
    POST /okami/auth/active/resend/<token>                   200     200    200    200   200   200

    GET  /api/docs                                           200     200    200    200   200   200
    GET  /api/openapi.json                                   200     200    200    200   200   200

    GET  /healthz                                            200     200    200    200   200   200
    GET  /readyz                                             200     200    200    200   200   200
    GET  /metrics                                            200     200    200    200   200   200
"""

# The JSON dialects look at no cookie: to them everybody above is nobody. Programs show a token: of
# the scope read, issue, manage or sign-in; the JWT of an admin; an API token that was revoked; one
# whose account has become a viewer. Without its header mobile-app, whoever is let in at
# /mobile/login is told 403.
PROGRAMS = ("nobody", "read", "issue", "manage", "sign-in", "jwt", "revoked", "demoted")
DIALECTS = """
                                               nobody read issue manage sign-in jwt revoked demoted
GET  /ping                                        200  200   200    200     200 200     200     200
GET  /api/v1/test                                 200  200   200    200     200 200     200     200
POST /api/v1/admin/register                       400  400   400    400     400 400     400     400
POST /api/v1/admin/login                          400  400   400    400     400 400     400     400
POST /api/v1/admin/logout                         401  400   400    400     403 200     401     401
GET  /api/v1/admin/invitation/generate            401  403   200    200     403 200     401     401
POST /api/v1/admin/invitation/generate            401  403   200    200     403 200     401     401
GET  /api/v1/admin/invitation/history             401  200   200    200     403 200     401     401
GET  /api/v1/admin/invitation/<uuid:id>           401  200   200    200     403 200     401     401
POST /api/v1/admin/invitation/<uuid:id>/revoke    401  403   403    200     403 200     401     401
POST /api/v1/admin/invitation/<uuid:id>/extend    401  403   403    400     403 400     401     401
GET  /api/v1/invitation/<code>                    400  400   400    400     400 400     400     400
POST /api/v1/user/login/<code>                    405  405   405    405     405 405     405     405

GET  /.well-known/jwks.json                       200  200   200    200     200 200     200     200
POST /v1/login                                    400  400   400    400     400 400     400     400
POST /mobile/login                                403  401   401    401     403 401     401     401
POST /mobile/logout                               403  401   401    401     401 401     401     401

POST /okami/auth/registration                     400  400   400    400     400 400     400     400
POST /okami/auth/sign/in/step1                    400  400   400    400     400 400     400     400
POST /okami/auth/sign/in/step2                    400  400   400    400     400 400     400     400
GET  /okami/auth/sign/in/step3/<token>            401  401   401    401     401 401     401     401

GET  /usermgmt/check-username/<username>          200  200   200    200     200 200     200     200
GET  /usermgmt/check-email/<email>                400  400   400    400     400 400     400     400
POST /usermgmt/signup                             400  400   400    400     400 400     400     400
POST /usermgmt/login                              400  400   400    400     400 400     400     400
POST /usermgmt/refresh-token                      401  400   400    400     400 400     400     400
POST /usermgmt/get-password-reset-code            400  400   400    400     400 400     400     400
POST /usermgmt/verify/password-reset              400  400   400    400     400 400     400     400
POST /usermgmt/verify/mail                        400  400   400    400     400 400     400     400
POST /usermgmt/verify/email                       400  400   400    400     400 400     400     400
PUT  /usermgmt/reset-password                     400  400   400    400     400 400     400     400
PUT  /usermgmt/password-reset                     400  400   400    400     400 400     400     400
PUT  /usermgmt/avatar-upload                      401  401   401    401     401 401     401     401
GET  /usermgmt/avatar-storage/<image_file>        404  404   404    404     404 404     404     404
"""


def rows(table: str) -> dict[str, list[int]]:
    """The statuses of each `METHOD rule`."""
    lines = [line.split() for line in table.splitlines()[2:] if line.strip()]
    return {f"{method} {rule}": [int(status) for status in row] for method, rule, *row in lines}


def column(table: str, names: tuple[str, ...], name: str) -> dict[str, int]:
    """What the table says about one of those it names."""
    assert tuple(table.splitlines()[1].split()) == names
    return {address: row[names.index(name)] for address, row in rows(table).items()}


@pytest.fixture
def alice(app: Flask) -> Account:
    """An admin, of whom the programs have their tokens; Olivia owns the portal."""
    with app.app_context():
        factories.owner(utcnow())
        return factories.staff(Role.ADMIN, "alice", utcnow())


@pytest.fixture
def fill(app: Flask, alice: Account) -> Callable[[str], str]:
    """Fills in a rule: with an invitation and a batch of Alice, and a token nobody has."""
    with app.app_context():
        party = issue(Terms(), by=alice, origin=factories.device(), now=utcnow()).id
        guests = factories.batch(alice, utcnow()).id

    def fill(rule: str) -> str:
        some = party if "invitation" in rule else guests if "batches" in rule else uuid4()
        url = rule.replace("<uuid:id>", str(some))
        for argument in ("code", "token", "username", "email", "image_file"):
            url = url.replace(f"<{argument}>", "nonsense")
        url = url.replace("<any(waiting,approved,declined):state>", "approved")
        url = url.replace("<any(reminders,chain,retention):kind>", "chain")
        url = url.replace("<string(length=64):digest>", "0" * 64).replace("<int:size>", "96")
        return url.replace("<path:filename>", "css/portal.css")
        values = {
            "<uuid:id>": str(some),
            "<code>": "nonsense",
            "<token>": "nonsense",
            "<any(waiting,approved,declined):state>": "approved",
            "<path:filename>": "css/portal.css",
        }
        for part, value in values.items():
            rule = rule.replace(part, value)
        return rule

    return fill


@pytest.fixture
def visit(app: Flask, alice: Account) -> Callable[[str], PageClient]:
    """Opens a new browser with that person in it. (A password's hash each time takes too long.)"""
    with app.app_context():
        people = {
            name: factories.staff(Role(name), name, utcnow()).id
            for name in PEOPLE
            if name not in {"stranger", "invitee"}
        }
        guests = issue(Terms(max_uses=None), by=alice, origin=factories.device(), now=utcnow())
        code = factories.code_of(guests)

    def visit(name: str) -> PageClient:
        browser = app.test_client()
        assert isinstance(browser, PageClient)
        if name == "invitee":
            assert browser.submit("/", {"code": code}).status_code == 303
        elif name in people:
            with app.app_context():
                account = db.session.get(Account, people[name])
                origin = factories.device()
                opened = accounts.start_session(account, origin=origin, now=utcnow()).get_id()
            with browser.session_transaction() as session:
                session["_user_id"] = opened
        return browser

    return visit


def test_the_tables_hold_every_address_and_no_other(app: Flask) -> None:
    known = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    listed = rows(PAGES).keys() | rows(DIALECTS).keys()
    assert known - listed == set(), "addresses that nobody has thought about"
    assert listed - known == set(), "addresses that are gone"


@pytest.mark.parametrize("name", PEOPLE)
def test_people_are_answered_as_the_table_says(
    app: Flask,
    visit: Callable[[str], PageClient],
    fill: Callable[[str], str],
    name: str,
) -> None:
    expected = column(PAGES, PEOPLE, name)
    answered = {}
    for address in expected:
        method, rule = address.split()
        browser = visit(name)
        form = {"csrf_token": browser.token()} if method == "POST" else None
        with browser.open(fill(rule), method=method, data=form) as answer:
            answered[address] = answer.status_code
    assert answered == expected


def test_no_page_takes_a_form_without_its_token(
    visit: Callable[[str], PageClient], fill: Callable[[str], str]
) -> None:
    posts = {rule for rule in column(PAGES, PEOPLE, "owner") if rule.startswith("POST")}
    refused = {
        address
        for browser in (visit("owner"), visit("invitee"))
        for address in posts
        if browser.open(fill(address.split()[1]), method="POST").status_code == 400
    }
    assert posts - refused == WITHOUT_TOKEN


@pytest.mark.parametrize("name", PEOPLE)
def test_people_are_nobody_to_the_dialects(
    app: Flask,
    visit: Callable[[str], PageClient],
    fill: Callable[[str], str],
    name: str,
) -> None:
    expected = column(DIALECTS, PROGRAMS, "nobody")
    browser = visit(name)
    answered = {
        address: browser.open(fill(rule), method=method).status_code
        for address in expected
        for method, rule in [address.split()]
    }
    assert answered == expected


@pytest.fixture
def authorise(app: Flask, alice: Account) -> Callable[[str], dict[str, str]]:
    """The header with a token of that kind."""

    def token(name: str) -> str:
        now, origin = utcnow(), factories.device()
        if name == "jwt":
            session = accounts.start_session(alice, origin=origin, now=now)
            return jwt.admin(session, now=now)
        by = (
            factories.staff(Role.ADMIN, f"{name}-{uuid4().hex[:6]}") if name == "demoted" else alice
        )
        scope = Scope(name) if name in list(Scope) else Scope.MANAGE
        made, text = tokens.create_api_token(
            by=by, name=name, scope=scope, expires_at=None, origin=origin, now=now
        )
        if name == "revoked":
            tokens.revoke_api_token(made.id, by=by, origin=origin, now=now)
        if name == "demoted":
            by.role = Role.VIEWER
            db.session.commit()
        return text

    def authorise(name: str) -> dict[str, str]:
        if name == "nobody":
            return {}
        with app.app_context():
            return {"Authorization": f"Bearer {token(name)}"}

    return authorise


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_answered_as_the_table_says(
    app: Flask,
    authorise: Callable[[str], dict[str, str]],
    fill: Callable[[str], str],
    name: str,
) -> None:
    expected = column(DIALECTS, PROGRAMS, name)
    answered = {}
    for address in expected:
        method, rule = address.split()
        client = app.test_client()
        headers = authorise(name)
        answered[address] = client.open(fill(rule), method=method, headers=headers).status_code
    assert answered == expected


# case 92
def test_every_view_that_takes_an_api_token_names_the_scope_it_needs(
    app: Flask, authorise: Callable[[str], dict[str, str]], fill: Callable[[str], str]
) -> None:
    """Where one that was made is answered otherwise than one that was made up, a scope decides."""
    app_headers = {"mobile-app": "mobile-application"}
    tokens = {scope: authorise(scope) for scope in Scope}
    for address in column(DIALECTS, PROGRAMS, "nobody") | column(PAGES, PEOPLE, "stranger"):
        method, rule = address.split()
        needed = scope_of(app.view_functions[endpoint_of(app, method, rule)])

        def answer(headers: dict[str, str], url: str = fill(rule), how: str = method) -> int:
            client = app.test_client()
            with client.open(url, method=how, headers=app_headers | headers) as answered:
                return answered.status_code

        made_up = answer({"Authorization": f"Bearer inv_{'x' * 43}"})
        answers = {scope: answer(tokens[scope]) for scope in Scope}
        if needed is None:
            assert set(answers.values()) == {made_up}, f"{address} names no scope"
        else:
            let_in = {scope for scope in Scope if answers[scope] not in {401, 403}}
            assert let_in == {scope for scope in Scope if needed in scope.includes}, address


def endpoint_of(app: Flask, method: str, rule: str) -> str:
    """The view that answers."""
    return next(
        known.endpoint
        for known in app.url_map.iter_rules()
        if known.rule == rule and method in (known.methods or set())
    )


# --- Guards ---


def test_every_view_says_who_may_call_it(app: Flask) -> None:
    unguarded = {name for name, view in app.view_functions.items() if guard_of(view) is None}
    assert unguarded == set()


def test_a_view_that_says_nothing_is_closed_even_to_the_owner(
    app: Flask, visit: Callable[[str], PageClient]
) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    for name in PEOPLE:
        answer = visit(name).get("/forgotten")
        assert answer.status_code == 403
        assert "secret" not in answer.text


def test_the_tables_would_notice_a_new_address(app: Flask) -> None:
    app.add_url_rule("/new", "new", lambda: "")
    with pytest.raises(AssertionError, match="nobody has thought about"):
        test_the_tables_hold_every_address_and_no_other(app)
