"""Our side of SMTP, before a server that follows a script."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPSenderRefused

import pytest

from portal.mail.smtp import Server

GREETING = "220 hello\r\n"
PIPELINING = "250-script\r\n250 PIPELINING\r\n"
Script = list[tuple[int, str]]  # wait for so many lines, then say that


@contextmanager
def scripted(script: Script) -> Iterator[tuple[Server, list[str]]]:
    """A connection to a server that follows the script and hangs up; and the lines it got."""
    heard: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        play = threading.Thread(target=_play, args=(listener, script, heard))
        play.start()
        server = Server("127.0.0.1", listener.getsockname()[1], timeout=10)
        try:
            yield server, heard
        finally:
            server.close()
            play.join(10)


def _play(listener: socket.socket, script: Script, heard: list[str]) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(GREETING.encode())
        for count, reply in script:
            heard.extend(lines.readline().decode().strip() for _ in range(count))
            connection.sendall(reply.encode())


def hand_over(server: Server, meanwhile: Callable[[], None] = lambda: None) -> None:
    server.hand_over("us@example.org", "guest@example.com", b"Hello\r\n", meanwhile)


def test_all_that_comes_before_the_content_is_sent_at_once() -> None:
    replies = "250 OK\r\n250 OK\r\n354 go on\r\n"
    with scripted([(1, PIPELINING), (3, replies), (2, "250 taken\r\n")]) as (server, heard):
        done: list[str] = []
        hand_over(server, lambda: done.append("meanwhile"))
        server.answer()

    assert heard[1:] == [
        "mail FROM:<us@example.org>",
        "rcpt TO:<guest@example.com>",
        "data",
        "Hello",
        ".",
    ]
    assert done == ["meanwhile"]


def test_a_server_that_waits_for_content_after_refusing_the_recipient_gets_none() -> None:
    replies = "250 OK\r\n550 nobody\r\n354 go on\r\n"
    script = [(1, PIPELINING), (3, replies), (1, "554 no valid recipients\r\n"), (1, "250 OK\r\n")]
    with scripted(script) as (server, heard):
        with pytest.raises(SMTPRecipientsRefused) as refused:
            hand_over(server)
        assert server.sock is not None, "the next mail may go the same way"

    assert refused.value.recipients == {"guest@example.com": (550, b"nobody")}
    assert heard[4:] == [".", "rset"]


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ("421 too many\r\n", SMTPSenderRefused),
        ("250 OK\r\n421 too many\r\n", SMTPRecipientsRefused),
    ],
)
def test_a_server_that_takes_its_leave_is_left(replies: str, error: type[SMTPException]) -> None:
    with scripted([(1, PIPELINING), (3, replies)]) as (server, _):
        with pytest.raises(error):
            hand_over(server)
        assert server.sock is None


def test_without_the_extension_each_command_waits_for_its_turn() -> None:
    script = [(1, "250 script\r\n"), (1, "250 OK\r\n"), (1, "550 nobody\r\n"), (1, "250 OK\r\n")]
    with scripted(script) as (server, heard), pytest.raises(SMTPRecipientsRefused):
        hand_over(server)

    assert heard[1:] == ["mail FROM:<us@example.org>", "rcpt TO:<guest@example.com>", "rset"]
