"""The JWK set with which others verify our tokens (RFC 7517)."""

from flask import Blueprint, Response, jsonify

from portal.clock import utcnow
from portal.domain.tokens import signing
from portal.http.guards import public

blueprint = Blueprint("keys", __name__)


@blueprint.get("/.well-known/jwks.json")
@public
def public_keys() -> Response:
    """The public keys that verify tokens, as a JWK set."""
    return jsonify(signing.public_keys(now=utcnow()))
