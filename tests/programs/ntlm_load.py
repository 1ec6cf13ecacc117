"""Twenty users of the host "ntlm", each logged in by NTLM on connections of its own, and strangers.

Every answer is checked: it names the user whose connection asked, or it is a refusal.

    ntlm_load.py bound ROUNDS PORT...     every login has to work, and to last
    ntlm_load.py unbound ROUNDS PORT...   a login may fail

The ports are those of the clients' proxies. A round is ten requests of each user.
"""

import asyncio
import base64
import collections
import email
import sys

import spnego

USERS = 20
REQUESTS = 10  # of one round
how, rounds, ports = sys.argv[1], int(sys.argv[2]), list(map(int, sys.argv[3:]))
seen = collections.Counter()
wrong = []


class Application:
    """A connection of an application to a proxy."""

    def __init__(self, port):
        self.port = port
        self.writer = None

    async def ask(self, path, authorization):
        """One request; its status, its challenge and its text."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        fields = f"Authorization: {authorization}\r\n" if authorization else ""
        request = f"GET http://ntlm.seacat/{path} HTTP/1.1\r\nHost: ntlm.seacat\r\n{fields}\r\n"
        self.writer.write(request.encode())
        line, fields = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n", 1)
        fields = email.message_from_string(fields)
        text = await self.reader.readexactly(int(fields["Content-Length"]))
        return int(line.split()[1]), fields.get("WWW-Authenticate", ""), text.decode()

    def close(self):
        if self.writer is not None:
            self.writer.close()


def check(user, answer, must_work):
    """Counts an answer to a request of this user, or of a stranger (None)."""
    status, _, text = answer
    if status == 200 and text == f"you are {user}\n":
        seen["logged in"] += 1
    elif (status == 401 or (how == "unbound" and status >= 400)) and not must_work:
        seen["refused"] += 1
    else:
        seen["wrong"] += 1
        wrong.append(f"{user or 'a stranger'} was answered {status} {text!r}")


async def one_round(user, own, other):
    """A login of two requests, one of a stranger in its middle, and seven that rely on the login."""
    login = spnego.client(user, "secret", protocol="ntlm", hostname="ntlm.seacat")
    answer = await own.ask("", ntlm(login.step()))
    check(user, answer, must_work=False)
    check(None, await other.ask("slow/5", None), must_work=False)
    challenge = base64.b64decode(answer[1].removeprefix("NTLM").strip())
    proof = ntlm(login.step(challenge)) if challenge else None
    check(user, await own.ask("", proof), must_work=how == "bound")
    for nth in range(7):
        path = "" if nth % 3 else "slow/5"
        check(user, await own.ask(path, None), must_work=how == "bound")
    own.close()
    other.close()


def ntlm(message):
    return f"NTLM {base64.b64encode(message).decode()}"


async def user(number):
    for nth in range(rounds):
        port = ports[(number + nth) % len(ports)]
        await one_round(f"user{number}", Application(port), Application(port))


async def main():
    await asyncio.gather(*map(user, range(USERS)))
    counts = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
    print(f"NTLM, {how}: {seen.total()} requests of {USERS} users: {counts}")
    assert seen.total() == USERS * rounds * REQUESTS
    assert not wrong, wrong[:5]


asyncio.run(main())
