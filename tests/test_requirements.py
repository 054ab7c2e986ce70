"""What is installed is what was looked at when it was pinned: every package by its digest."""

import json
import re

import pytest

from portal.config import ROOT

LOCKED = sorted(path.name for path in ROOT.glob("requirements*.txt"))
PINNED = re.compile(r"[\w.-]+(\[\w+\])?==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+")


@pytest.mark.parametrize("name", LOCKED)
def test_every_python_package_is_pinned_by_its_digests(name: str) -> None:
    lines = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    requirements = [line for line in lines if line and not line.lstrip().startswith("#")]

    assert requirements
    assert [one for one in requirements if not PINNED.fullmatch(one)] == []


def test_every_node_package_is_pinned_by_its_digest() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]

    assert all(
        package["integrity"].startswith("sha512-") for path, package in packages.items() if path
    )


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile", ".ci/run"])
def test_pip_installs_nothing_without_a_digest(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    commands = re.findall(r"pip install.*", text)

    assert all("--require-hashes" in command for command in commands)


def test_every_file_that_make_locks_is_there() -> None:
    [names] = re.findall(r"for name in (requirements[^;]*);", (ROOT / "Makefile").read_text())

    assert sorted(f"{name}.txt" for name in names.split()) == LOCKED
