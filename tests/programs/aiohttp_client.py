"""aiohttp: twenty requests at one time, one upload in pieces.

Usage: http_proxy=… aiohttp_client.py URL (of our own origin)
"""

import asyncio
import sys

import aiohttp


async def pieces():
    for _ in range(10):
        yield b"x" * 1000


async def main(url):
    async with aiohttp.ClientSession(trust_env=True) as session:

        async def get(number):
            async with session.get(f"{url}/aiohttp/{number}") as answer:
                assert await answer.text() == f"you asked for /aiohttp/{number}\n"

        await asyncio.gather(*map(get, range(20)))
        async with session.post(f"{url}/sum", data=pieces()) as answer:
            print("aiohttp:", (await answer.text()).split()[1], "bytes in pieces")


asyncio.run(main(sys.argv[1]))
