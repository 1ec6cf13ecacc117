"""A Tornado server whose WebSocket answers every message in upper case.

Tornado refuses a WebSocket whose Origin is not its Host, with status 403.

Usage: tornado_server.py PORT
"""

import asyncio
import sys

import tornado.web
import tornado.websocket


class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message.upper())


async def main(port):
    tornado.web.Application([("/echo", Echo)]).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1])))
