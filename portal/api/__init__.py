"""The JSON dialects: thin blueprints over the same verbs as the pages."""

from flask import Flask

from portal.api import health, jwks
from portal.api.dialects import invitations, kursus, mobile, okami, sadhelx
from portal.api.openapi import docs
from portal.extensions import csrf
from portal.http import errors


def init_app(app: Flask) -> None:
    """Register the blueprints, exempt from CSRF since API clients carry no cookies."""
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}
    for module in (health, invitations, kursus, mobile, okami, sadhelx, jwks, docs):
        csrf.exempt(module.blueprint)
        app.register_blueprint(module.blueprint)
    for prefix in ("/api/", "/ping"):
        errors.speak(app, prefix, invitations.answer)
    errors.speak(app, "/v1/", kursus.answer)
    errors.speak(app, "/mobile/", mobile.answer)
    errors.speak(app, "/usermgmt/", sadhelx.answer)
    # Pages below /okami/auth/active are for people, so they keep HTML errors.
    for prefix in ("/okami/auth/registration", "/okami/auth/sign/"):
        errors.speak(app, prefix, okami.answer)
