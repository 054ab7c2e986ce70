"""A test client that checks every page it gets, as a browser and an inspector would."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient
from markupsafe import escape
from werkzeug.test import TestResponse

FIELDS = {"input", "textarea", "select"}
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
# A form may have several of these with one name.
CHOICES = {"radio", "checkbox", "submit", "button"}
REFERENCES = ("for", "aria-describedby", "aria-labelledby", "aria-controls", "list", "form")


class Page(HTMLParser):
    """The parts of a page that the checks and the tests need."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.problems: list[str] = []
        self.fields: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.title = ""
        self.text: list[str] = []
        self._inside: list[str] = []
        self._post_form_without_token = False
        self._names: Counter[str] = Counter()
        self._unlabelled: list[str] = []
        self._references: list[tuple[str, str]] = []
        self._labelled: set[str] = set()
        self._clickable: tuple[dict[str, str], list[str]] | None = None
        self.feed(html)
        self.close()
        self.problems += [f"id {name} stands {n} times" for name, n in self.ids.items() if n > 1]
        self.problems += [
            f"no label for the field {name}"
            for name in self._unlabelled
            if name not in self._labelled
        ]

    @property
    def words(self) -> str:
        """The text as read, with whitespace collapsed."""
        return " ".join(" ".join(self.text).split())

    @property
    def dangling(self) -> list[str]:
        """References to ids that do not exist in the page."""
        return [
            f"{attribute} names {name}, which is not there"
            for attribute, name in self._references
            if name not in self.ids
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record ids and fields, and violations of our content security policy."""
        attributes = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self._inside.append(tag)
        if "id" in attributes:
            self.ids[attributes["id"]] += 1
        for name in REFERENCES:
            self._references += [(name, other) for other in attributes.get(name, "").split()]
        if tag == "label":
            self._labelled.add(attributes.get("for", ""))
        if tag in {"a", "button", "summary"}:
            self._clickable = (attributes, [])
        self._look_for_inline_code(tag, attributes)
        self._look_at_forms(tag, attributes)
        self._look_at_fields(tag, attributes)

    def _look_for_inline_code(self, tag: str, attributes: dict[str, str]) -> None:
        inline = [name for name in attributes if name.startswith("on") or name == "style"]
        self.problems += [f"<{tag}> has an inline {name}" for name in inline]
        if tag == "style" or (tag == "script" and not attributes.get("src")):
            self.problems.append(f"an inline <{tag}>")
        source = attributes.get("src") or (attributes.get("href") if tag == "link" else "")
        if source and not source.startswith(("/static/", "/avatars/")):
            self.problems.append(f"<{tag}> loads {source}")
        if attributes.get("href", "").lower().startswith(("javascript:", "#", "data:")):
            self._references.append(("href", attributes["href"].removeprefix("#")))

    def _look_at_forms(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "form":
            self._post_form_without_token = attributes.get("method", "get").lower() == "post"
            self._names.clear()
        if attributes.get("name") == "csrf_token":
            self._post_form_without_token = False

    def _look_at_fields(self, tag: str, attributes: dict[str, str]) -> None:
        kind, name = attributes.get("type", tag), attributes.get("name", "")
        if tag not in FIELDS or kind == "hidden":
            visible = False
        else:
            visible = "aria-label" not in attributes and "aria-labelledby" not in attributes
        if visible:
            self._unlabelled.append(attributes.get("id", f"named {name!r}, without an id"))
        if tag in FIELDS and name:
            if kind not in CHOICES:
                self._names[name] += 1
            if self._names[name] > 1:
                self.problems.append(f"two fields of one form are named {name}")
            if kind not in {"radio", "checkbox"} or "checked" in attributes:
                self.fields[name] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Check that a POST form had its token, and that clickable elements have a name."""
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass
        if tag == "form":
            if self._post_form_without_token:
                self.problems.append("a POST form without csrf_token")
            self._post_form_without_token = False
            self._names.clear()
        if tag in {"a", "button", "summary"} and self._clickable:
            attributes, text = self._clickable
            name = " ".join("".join(text).split()) or attributes.get("aria-label", "")
            if not name:
                self.problems.append(f"a nameless <{tag}>")
            if tag == "a":
                self.links[name] = attributes.get("href", "")
            self._clickable = None

    def handle_data(self, data: str) -> None:
        """Record the title and the text."""
        if self._inside and self._inside[-1] == "title":
            self.title += data
        if self._clickable:
            self._clickable[1].append(data)
        self.text.append(data)


class PageClient(FlaskClient):
    """Checks every HTML response, and submits the CSRF token with forms."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Make a request and check the response."""
        response = super().open(*args, **kwargs)
        if response.mimetype == "text/html" and response.data:
            check(response)
        return response

    def submit(self, url: str, data: dict[str, Any] | None = None, **kwargs: Any) -> TestResponse:
        """POST a form with the token of the sign-in page."""
        return self.post(url, data={"csrf_token": self.token()} | (data or {}), **kwargs)

    def token(self) -> str:
        """The CSRF token of this browser."""
        return Page(super().open("/login").text).fields["csrf_token"]

    def page(self, url: str, **kwargs: Any) -> Page:
        """GET a page that must exist, and parse it."""
        response = self.get(url, **kwargs)
        assert response.status_code == 200, f"{url} answered {response.status}"
        return Page(response.text)


def words(response: TestResponse) -> str:
    """The text of a page or a fragment."""
    return Page(response.text).words


def without_secrets(response: TestResponse, typed: str) -> str:
    """A page without what may differ: its CSRF token, and the echo of what was typed."""
    html = re.sub(r'(name="csrf_token"[^>]*value=)"[^"]*"', r'\1""', response.text)
    return html.replace(f'value="{escape(typed)}"', 'value=""')


def check(response: TestResponse) -> None:
    """Fail if a page lacks its title, repeats an id, has inline code or an unprotected form."""
    page = Page(response.text)
    if "<html" in response.text:
        assert page.title.strip(), "a page without a title"
        assert re.search(r"<html[^>]* lang=", response.text), "a page without a language"
        assert response.text.count("<h1") == 1, "a page has one h1"
        assert not page.dangling, page.dangling
    assert not page.problems, page.problems
    assert response.headers["Cache-Control"] == "no-store"
