"""The page about the API, and its examples, which run as they stand."""

import re
import subprocess
import sys
from html import unescape

import httpx
import pytest

from portal.api.openapi.document import OPERATIONS
from tests.pages import PageClient
from tests.servers import serve


def test_the_page_tells_of_every_operation_and_every_problem(client: PageClient) -> None:
    page = client.page("/api/docs")
    document = client.get("/api/openapi.json").get_json()

    for operation in OPERATIONS:
        assert operation.path in page.words
        assert operation.name in page.ids
    for problem in document["x-problems"]:
        assert problem["message"] in page.words
        assert problem["meaning"] in page.words


@pytest.mark.gunicorn
@pytest.mark.parametrize(
    ("language", "run"),
    [
        ("curl", ["bash", "-euo", "pipefail", "-c"]),
        ("python", [sys.executable, "-I", "-c"]),
    ],
)
def test_its_examples_lead_from_nothing_to_a_redeemed_code(
    database_url: str, language: str, run: list[str]
) -> None:
    with serve(database_url, workers=1) as url:
        html = httpx.get(f"{url}/api/docs", trust_env=False).text
        example = re.search(rf'<code id="start-{language}">(.*?)</code>', html, re.DOTALL)
        assert example is not None
        done = subprocess.run(
            [*run, unescape(example[1])],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": "/usr/bin:/bin"},
        )

    assert done.returncode == 0, done.stderr
    assert "Login Successful" in done.stdout
    assert re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", done.stdout)
    assert "in_active" not in done.stdout
