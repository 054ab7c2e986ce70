"""The pages: a view parses, calls one verb, responds."""

from flask import Flask

from portal.config import settings
from portal.domain.accounts import passkeys
from portal.web import (
    account,
    audit,
    auth,
    avatars,
    batches,
    credentials,
    dashboard,
    doctor,
    exports,
    imports,
    invitations,
    landing,
    locks,
    mailings,
    mails,
    okami,
    people,
    refusals,
    requests,
    resets,
    second_factors,
    second_steps,
    selections,
    signup,
    tokens,
)

MODULES = (
    *(landing, requests, refusals, auth, second_steps, signup, resets, okami),
    *(account, credentials, avatars, second_factors, dashboard, tokens, people),
    *(exports, imports, invitations, selections, batches, mailings, mails),
    *(locks, audit, doctor),
)


def init_app(app: Flask) -> None:
    """Register the blueprints, and make the settings available to templates."""
    for module in MODULES:
        app.register_blueprint(module.blueprint)
    app.context_processor(lambda: {"settings": settings})
    app.add_template_global(passkeys.are_possible, "passkeys_possible")
