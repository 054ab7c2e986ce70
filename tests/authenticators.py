"""What people carry: an app that shows codes, and a passkey made of a key and a little CBOR."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pyotp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor

from portal.domain.accounts import two_factor
from portal.models import Account
from tests.factories import NOW, device

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class App:
    """An authenticator app that was shown a secret."""

    secret: str

    def code(self, now: datetime = NOW, steps: int = 0) -> str:
        """What it shows at `now`, or so many half minutes later."""
        return pyotp.TOTP(self.secret).at(now + timedelta(seconds=30 * steps))


def app_of(account: Account, now: datetime = NOW) -> tuple[App, list[str]]:
    """Set up an app, a minute before `now`; with it come the recovery codes."""
    two_factor.begin_totp(account)
    pending = two_factor.pending_totp(account)
    assert pending is not None
    app, before = App(pending.secret), now - timedelta(minutes=1)
    codes = two_factor.confirm_totp(account, app.code(before), origin=device(), now=before)
    return app, codes


@dataclass
class Authenticator:
    """A security key or a phone, for one passkey. What it says can be bent."""

    site: str = "http://localhost"
    host: str = "localhost"
    flags: int = PRESENT | VERIFIED
    uses: int = 0
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    id: bytes = field(default_factory=lambda: uuid4().bytes)
    user: bytes = b""

    def create(self, options: dict[str, Any]) -> str:
        """The browser's answer to a request for a new passkey."""
        self.user = base64url_to_bytes(options["user"]["id"])
        credential = len(self.id).to_bytes(2) + self.id + self._public_key()
        told = self._told(ATTESTED) + bytes(16) + credential
        attestation = {"fmt": "none", "attStmt": {}, "authData": told}
        return self._answer(
            clientDataJSON=self._client("webauthn.create", options),
            attestationObject=encode_cbor(attestation),
        )

    def get(self, options: dict[str, Any]) -> str:
        """The browser's answer to a request to sign in."""
        told, client = self._told(), self._client("webauthn.get", options)
        return self._answer(
            clientDataJSON=client,
            authenticatorData=told,
            signature=self.key.sign(told + sha256(client).digest(), ec.ECDSA(SHA256())),
            userHandle=self.user,
        )

    def _told(self, flags: int = 0) -> bytes:
        host = sha256(self.host.encode()).digest()
        return host + bytes([self.flags | flags]) + self.uses.to_bytes(4)

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.site}
        return json.dumps(said).encode()

    def _public_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return encode_cbor(
            {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        )

    def _answer(self, **parts: bytes) -> str:
        name = bytes_to_base64url(self.id)
        response = {part: bytes_to_base64url(value) for part, value in parts.items()}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
