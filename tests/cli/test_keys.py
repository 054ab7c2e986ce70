"""`flask keys rotate`."""

import pytest
from flask import Flask

from portal.clock import utcnow
from portal.domain.errors import SignInRequired
from portal.domain.tokens import signing

pytestmark = pytest.mark.usefixtures("context")


def kids() -> dict[str, str]:
    """The key that signs, by algorithm."""
    now = utcnow()
    return {name: signing.key_in_use(name, now=now).kid for name in signing.LONGEST}


def test_every_key_is_changed_unless_one_is_named(app: Flask) -> None:
    before = kids()

    result = app.test_cli_runner().invoke(args=["keys", "rotate"])

    after = kids()
    assert result.exit_code == 0
    assert not set(before.values()) & set(after.values())
    for name, kid in after.items():
        assert f"{name} tokens are signed with the key {kid} now." in result.output


def test_one_key_is_changed_at_once(app: Flask) -> None:
    before = kids()
    token = signing.sign({"iss": "a test"}, "HS512", now=utcnow())

    app.test_cli_runner().invoke(args=["keys", "rotate", "--algorithm=HS512", "--at-once"])

    changed = {name for name, kid in kids().items() if kid != before[name]}
    assert changed == {"HS512"}
    with pytest.raises(SignInRequired):
        signing.verified(token, "HS512", now=utcnow(), issuer="a test")
