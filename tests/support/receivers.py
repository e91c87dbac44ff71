"""Who is told of alerts: servers on loopback that keep what they get, an HTTP and an SMTP one."""

from __future__ import annotations

import base64
import json
import socketserver
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.served import Served


@dataclass(frozen=True)
class Told:
    """One request: its path, and the JSON that came with it."""

    path: str
    body: Any


class HttpReceiver(Served):
    """Takes whatever is posted to it; ``told`` holds it in order.

    ``refusing`` answers 503 instead, ``refused`` times so far.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.told: list[Told] = []
        self.refusing = False
        self.refused = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.refusing:
                    receiver.refused += 1
                    self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
                    return
                receiver.told.append(Told(self.path, json.loads(body)))
                # PagerDuty's status for an event, Slack's text for a message; others do not look
                self.send_response(HTTPStatus.ACCEPTED if self.path == "/pagerduty" else HTTPStatus.OK)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Nothing."""

        server = ThreadingHTTPServer((address, 0), Handler)
        server.daemon_threads = True
        super().__init__(server)

    def at(self, path: str) -> list[Any]:
        """Bodies of the requests to a path."""
        return [one.body for one in self.told if one.path == path]


class _Mailbox(socketserver.ThreadingTCPServer):
    """Enough of SMTP (RFC 5321, RFC 4954) for one client that perhaps logs in and hands over messages."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, user: str, password: str, address: str) -> None:
        self.mails: list[EmailMessage] = []
        self.open = not user
        plain = f"\0{user}\0{password}".encode()
        self.login = f"AUTH PLAIN {base64.b64encode(plain).decode()}"
        super().__init__((address, 0), _Session)


class _Session(socketserver.StreamRequestHandler):
    server: _Mailbox

    def handle(self) -> None:
        self._say("220 mailbox")
        known = self.server.open
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ", 1)[0].upper()
            if verb == "AUTH":
                known = line == self.server.login
                self._say("235 welcome" if known else "535 wrong password")
            elif verb == "DATA" and known:
                self._say("354 go on")
                self.server.mails.append(self._message())
                self._say("250 kept")
            elif verb == "EHLO":
                self._say("250 mailbox" if self.server.open else "250-mailbox\r\n250 AUTH PLAIN")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine" if known else "530 log in first")

    def _message(self) -> EmailMessage:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return message_from_bytes(b"".join(lines), _class=EmailMessage, policy=policy.default)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class MailReceiver(Served):
    """Takes mail from whoever knows the password, or from all without a user; ``mails`` holds it in order."""

    def __init__(self, user: str = "", password: str = "", address: str = "127.0.0.1") -> None:
        self._mailbox = _Mailbox(user, password, address)
        super().__init__(self._mailbox)

    @property
    def mails(self) -> list[EmailMessage]:
        return self._mailbox.mails
