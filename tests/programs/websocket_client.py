"""A WebSocket client behind an HTTP proxy, in the three ways there are.

Usage: websocket_client.py connect|upgrade|mapped PORT
  connect  a CONNECT tunnel through the proxy on PORT, as browsers do
  upgrade  an Upgrade request through the proxy on PORT, the host named in X-SC-HOST
  mapped   PORT is mapped to the host: the client knows of no proxy

Talks to the host "ws"; prints what it measured; its exit code says whether all was well.
"""

import asyncio
import socket
import sys
import time

import websockets

BIG = bytes(range(256)) * 4096  # 1 MiB, in many frames


def tunnel(port):
    """A socket through the proxy, by CONNECT."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.sendall(b"CONNECT ws.seacat:80 HTTP/1.1\r\nHost: ws.seacat:80\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, f"the proxy hung up after {head!r}"
        head += byte
    status = head.split()[1]
    assert status == b"200", head
    sock.settimeout(None)
    return sock


async def talk(how, port):
    if how == "connect":
        options = {"sock": tunnel(port)}
    else:
        options = {"host": "127.0.0.1", "port": port}
    if how == "upgrade":
        options["extra_headers"] = {"X-SC-HOST": "ws"}
    url = "ws://ws.seacat/chat" if how == "connect" else f"ws://127.0.0.1:{port}/chat"
    async with websockets.connect(url, max_size=2**24, **options) as chat:
        began = time.monotonic()
        for number in range(100):
            await chat.send(f"message {number}")
            answer = await chat.recv()
            assert answer == f"MESSAGE {number}", answer
        small = time.monotonic() - began
        await chat.send(BIG)
        answer = await chat.recv()
        assert answer == BIG, f"{len(answer)} bytes came back"
        # The peer's PONG comes through the tunnel too.
        await asyncio.wait_for(await chat.ping(), 10)
    assert chat.close_code == 1000, chat.close_code
    print(f"{how}: 100 messages in {small * 1000:.0f} ms, 1 MiB echoed, closed with 1000")


asyncio.run(talk(sys.argv[1], int(sys.argv[2])))
