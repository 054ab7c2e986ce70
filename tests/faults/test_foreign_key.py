"""A database under another secret key than its own: whoever starts the portal is told."""

import httpx
import pytest

from portal.domain.operations import installation
from tests.conftest import SECRET
from tests.faults.conftest import Serve

pytestmark = pytest.mark.gunicorn

OTHER = {"SECRET_KEY": "another secret of another machine that is long enough"}


def test_a_start_with_another_secret_key_says_so(
    serve_portal: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_portal() as url:
        assert httpx.get(url, trust_env=False).is_success
    assert installation.FOREIGN_KEY not in capsys.readouterr().out

    with serve_portal(**OTHER) as url:
        assert httpx.get(url, trust_env=False).is_success
    assert capsys.readouterr().out.count(installation.FOREIGN_KEY) == 1


def test_a_start_with_the_former_key_as_a_fallback_is_none_to_speak_of(
    serve_portal: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_portal():
        pass
    former = SECRET
    with serve_portal(SECRET_KEY_FALLBACKS=former, **OTHER):
        pass
    with serve_portal(**OTHER):
        pass

    assert installation.FOREIGN_KEY not in capsys.readouterr().out
