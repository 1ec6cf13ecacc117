"""An HTTP proxy that is a client of the gateway without any extension of the protocol, as those of the
reference era: all connections of all applications share one TLS connection, and nothing on it says which
request came on which. Takes requests without a body.

Usage: plain_proxy.py CA GATEWAY-PORT PORT
"""

import asyncio
import collections
import itertools
import ssl
import sys
import urllib.parse

SYN_STREAM, SYN_REPLY = b"\x80\xa1\x00\x01", b"\x80\xa1\x00\x02"
RST_STREAM = b"\x80\x03\x00\x03"
FIN = 1
HOP_BY_HOP = ("host", "connection", "proxy-connection", "keep-alive")


class Gateway:
    """The TLS connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.ids = itertools.count(1, 2)
        self.waiting = {}

    async def read(self):
        """Hands each answer to who waits for it, for as long as the gateway is there."""
        heads, texts = {}, collections.defaultdict(bytes)
        while True:
            head = await self.reader.readexactly(8)
            body = await self.reader.readexactly(int.from_bytes(head[5:8], "big"))
            kind, ended = head[:4], head[4] & FIN
            stream = int.from_bytes((body if head[0] & 0x80 else head)[:4], "big")
            if kind == SYN_REPLY:
                heads[stream] = (int.from_bytes(body[4:6], "big"), list(strings(body[8:])))
            elif kind == RST_STREAM:
                heads[stream], ended = (502, []), True
            elif head[0] & 0x80:
                continue  # EXTENSIONS, PING: nothing this client knows
            else:
                texts[stream] += body
            if ended and stream in self.waiting:
                answer = *heads.pop(stream), texts.pop(stream, b"")
                self.waiting.pop(stream).set_result(answer)

    async def ask(self, words):
        """One request (host, method, path, fields); its status, its fields and its body."""
        stream = next(self.ids)
        body = stream.to_bytes(4, "big") + bytes(4) + b"\x20\x00" + b"".join(map(string, words))
        self.waiting[stream] = asyncio.get_running_loop().create_future()
        self.writer.write(SYN_STREAM + bytes([FIN]) + len(body).to_bytes(3, "big") + body)
        return await self.waiting[stream]


def string(text):
    size = len(text)
    return (bytes([size]) if size < 0xFA else b"\xff" + size.to_bytes(2, "big")) + text.encode()


def strings(body):
    while body:
        size, at = (body[0], 1) if body[0] < 0xFA else (int.from_bytes(body[1:3], "big"), 3)
        yield body[at : at + size]
        body = body[at + size :]


async def serve(gateway, reader, writer):
    """One connection of an application."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.strip().split("\r\n")
            method, target, _ = line.split(" ")
            url = urllib.parse.urlsplit(target)
            words = [url.hostname.removesuffix(".seacat"), method, url.path or "/"]
            for field in fields:
                name, value = field.split(":", 1)
                if name.lower() not in HOP_BY_HOP:
                    words += [name, value.strip()]
            status, fields, body = await gateway.ask(words)
            lines = [b"HTTP/1.1 %d" % status + b" -"]
            lines += map(b": ".join, zip(fields[::2], fields[1::2]))
            if b"content-length" not in (name.lower() for name in fields[::2]):
                lines.append(b"Content-Length: %d" % len(body))
            writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    except asyncio.IncompleteReadError:
        writer.close()


async def main(ca, gateway_port, port):
    trust = ssl.create_default_context(cafile=ca)
    gateway = Gateway(
        *await asyncio.open_connection(
            "127.0.0.1", gateway_port, ssl=trust, server_hostname="localhost"
        )
    )
    await asyncio.start_server(lambda *streams: serve(gateway, *streams), "127.0.0.1", port)
    await gateway.read()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
