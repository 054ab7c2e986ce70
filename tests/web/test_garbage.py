"""What fits nowhere, sent everywhere: refused on either engine, and never a fault of ours."""

from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.routing import IntegerConverter

from tests import inputs
from tests.factories import PASSWORD
from tests.pages import PageClient

HUGE = "9" * 22
GARBAGE = ("9" * 400, "2147483648", "-1", "nan", "a\0b", "\udc80", "a\x1b[0m\r\nb", "0001-01-01")
NUMBERS = ("0", "1", "2147483647", "2147483648", HUGE, "-1", "٣", "１")
LEAVING = {"/logout", "/account/deletion", "/account/sessions/closure"}


def encoded(text: str) -> str:
    """In escapes, surrogates too."""
    return quote(text.encode("utf-8", "surrogatepass"))


# case 97
def test_a_number_in_a_path_is_bounded(client: PageClient) -> None:
    for number in NUMBERS:
        answer = client.get(f"/avatars/{'a' * 64}/{encoded(number)}")
        assert answer.status_code == 404, number


# case 97
def test_every_number_in_the_url_map_is_bounded(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        for converter in rule._converters.values():
            if isinstance(converter, IntegerConverter):
                assert converter.max is not None, rule
                assert converter.max < 2**31, rule
                assert converter.regex == "[0-9]{1,10}", rule


# case 97
@pytest.mark.parametrize("garbage", ["9" * 400, "a\0b", "\udc80"])
def test_garbage_in_a_path_a_query_or_a_field_is_no_fault_of_ours(
    app: Flask, olivia: PageClient, garbage: str
) -> None:
    names, token = inputs.field_names(), olivia.token()
    query = "&".join(f"{name}={encoded(garbage)}" for name in names if name != "csrf_token")
    form = {"data": f"{query}&csrf_token={token}"}
    form["content_type"] = "application/x-www-form-urlencoded"
    body = dict.fromkeys(names, garbage) | {"page": 1}
    headers = {"deviceId": "a", "mobile-app": "mobile-application", "Secret-Token": "a"}
    credentials = {"email": "olivia@example.org", "password": PASSWORD}
    login = olivia.post("/api/v1/admin/login", json=credentials).get_json()
    headers["Authorization"] = f"Bearer {login['data']['token']}"

    def send(method: str, path: str, **request: object) -> None:
        answer = olivia.open(path, method=method, **request)
        assert answer.status_code < 500, (method, path, list(request))

    for method, path in inputs.routes(app, encoded(garbage), encoded(garbage)):
        if path not in LEAVING:
            send(method, path, headers=headers)
    for method, path in inputs.routes(app, "text"):
        if path in LEAVING:
            continue
        send(method, path, query_string=query, headers=headers)
        if method != "GET":
            send(method, path, **form)
            send(method, path, json=body, headers=headers)


# case 97
def test_one_bad_value_in_the_query_of_a_list_is_no_fault_of_ours(olivia: PageClient) -> None:
    for name in ("since", "until", "subject", "before", "after", "page", "cursor"):
        for garbage in GARBAGE:
            for path in ("/admin/audit", "/admin/invitations", "/admin/people", "/admin/mails"):
                answer = olivia.get(f"{path}?{name}={encoded(garbage)}")
                assert answer.status_code < 500, (path, name, garbage)
