"""Children that decode what strangers send: limited by the kernel, and never waited for."""

import json
import shutil
import sys
from contextlib import ExitStack, closing
from io import BytesIO
from pathlib import Path

import pytest

from portal.config import ROOT
from portal.domain import errors, sandbox
from portal.domain.errors import DecodersBusy
from portal.domain.sandbox import DecoderRefused, DecoderStopped, Limits

MEGABYTE = 1024 * 1024
LIMITS = Limits(memory=256 * MEGABYTE, processor=30, clock=60, file=MEGABYTE)
DECODER = r"""
import os, sys, tempfile
from portal.domain.errors import FileRefused

def decode(source, target):
    word = source.read()
    target.write(b"begun\n")
    target.flush()
    exec(word)
"""


@pytest.fixture(autouse=True)
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A decoder that does what its file says, in a tree of its own beside the real child."""
    tree = tmp_path / "portal"
    for module in (sandbox.child, errors):
        source = Path(str(module.__file__))
        copy = tree / source.relative_to(ROOT / "portal")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    (tree / "decoder.py").write_text(DECODER)
    monkeypatch.setattr(sandbox.child, "__file__", str(tree / "domain" / "sandbox" / "child.py"))
    return "portal.decoder"


def decoded(decoder: str, program: str, **limits: int) -> list[bytes]:
    """What it wrote."""
    return list(sandbox.decode(decoder, BytesIO(program.encode()), LIMITS._replace(**limits)))


def test_a_decoder_gives_lines_or_refuses_in_its_own_words(decoder: str) -> None:
    assert decoded(decoder, "target.write(b'done')") == [b"begun\n", b"done"]
    with pytest.raises(DecoderRefused, match="not this one"):
        decoded(decoder, "raise FileRefused('not this one')")


# case 83
def test_a_decoder_that_computes_for_ever_is_killed(decoder: str) -> None:
    with pytest.raises(DecoderStopped, match=r"-(24|9)"):  # SIGXCPU, or SIGKILL
        decoded(decoder, "while True: pass", processor=1)


# case 83
def test_a_decoder_that_waits_for_ever_is_killed(decoder: str) -> None:
    with pytest.raises(DecoderStopped, match="-14"):  # SIGALRM
        decoded(decoder, "import time; time.sleep(600)", clock=1)


# case 83
@pytest.mark.skipif(sys.platform != "linux", reason="macOS knows no limit of the address space")
def test_a_decoder_gets_no_more_memory_than_it_may_have(decoder: str) -> None:
    with pytest.raises(DecoderStopped, match="MemoryError"):
        decoded(decoder, f"bytearray({512 * MEGABYTE})")


def test_a_decoder_fills_no_disk(decoder: str) -> None:
    program = f"f = tempfile.TemporaryFile(); f.write(bytes({2 * MEGABYTE})); f.flush()"
    with pytest.raises(DecoderStopped):
        decoded(decoder, program)


def test_a_decoder_sees_no_secrets_and_no_portal(
    decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "marked")
    monkeypatch.setenv("DATABASE_URL", "marked")
    program = (
        "import json; target.write(json.dumps([dict(os.environ), list(sys.modules)]).encode())"
    )

    environment, modules = json.loads(decoded(decoder, program)[1])

    assert "marked" not in environment.values()
    assert not {"flask", "sqlalchemy", "portal.config"} & set(modules)


# case 83
def test_nobody_waits_for_a_place(decoder: str) -> None:
    with ExitStack() as stack:
        for _ in range(sandbox.PLACES):
            busy = sandbox.decode(decoder, BytesIO(b"import time; time.sleep(600)"), LIMITS)
            stack.enter_context(closing(busy))
            assert next(busy) == b"begun\n"
        with pytest.raises(DecodersBusy):
            decoded(decoder, "")

    assert decoded(decoder, "") == [b"begun\n"]


def test_a_place_is_free_again_whatever_becomes_of_a_child(decoder: str) -> None:
    for program in ("raise FileRefused('no')", "os.kill(os.getpid(), 9)", "1 / 0"):
        for _ in range(sandbox.PLACES):
            with pytest.raises((DecoderRefused, DecoderStopped)):
                decoded(decoder, program)
    assert decoded(decoder, "") == [b"begun\n"]


def test_a_file_is_read_from_its_beginning(decoder: str, tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(b"target.write(b'done')")
    with path.open("rb") as file:
        file.read(5)
        assert list(sandbox.decode(decoder, file, LIMITS))[1] == b"done"
