"""A WebSocket server: says everything back, text in upper case.

Usage: websocket_server.py PORT. Prints "ready" once it listens.
"""

import asyncio
import sys

import websockets


async def echo(socket, *_path):
    async for message in socket:
        await socket.send(message.upper() if isinstance(message, str) else message)


async def main(port):
    async with websockets.serve(echo, "127.0.0.1", port, max_size=2**24):
        print("ready", flush=True)
        await asyncio.Future()


asyncio.run(main(int(sys.argv[1])))
