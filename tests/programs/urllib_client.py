"""Python's urllib behind http_proxy: GET, POST, HEAD, PUT, DELETE, gzip, cookies, 304.

Usage: http_proxy=… urllib_client.py WEB ORIGIN (base URLs of nginx and of our own origin).
"""

import gzip
import hashlib
import http.cookiejar
import sys
import urllib.error
import urllib.request

web, origin = sys.argv[1:3]
jar = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))


def ask(url, method="GET", body=None, headers=()):
    request = urllib.request.Request(url, body, dict(headers), method=method)
    return opener.open(request, timeout=30)


with ask(f"{web}/hello.txt") as answer:
    assert answer.read() == b"hello from nginx\n"
    tag = answer.headers["ETag"]
    assert "seacat" in answer.headers["Via"].lower(), answer.headers
try:
    ask(f"{web}/hello.txt", headers=[("If-None-Match", tag)])
    raise SystemExit("304 expected")
except urllib.error.HTTPError as error:
    assert error.code == 304, error.code
with ask(f"{web}/hello.txt", "HEAD") as answer:
    assert answer.headers["Content-Length"] == "17" and answer.read() == b""

body = bytes(range(256)) * 2000
with ask(f"{origin}/sum", "POST", body) as answer:
    assert answer.read().split() == [hashlib.sha256(body).hexdigest().encode(), b"512000"]
with ask(f"{origin}/sum", "POST", iter([body, body])) as answer:  # chunked: no length is known
    assert answer.read().split()[1] == b"1024000"
with ask(f"{web}/put/from-python", "PUT", body) as answer:
    assert answer.status in (201, 204), answer.status
with ask(f"{web}/put/from-python") as answer:
    assert answer.read() == body
with ask(f"{web}/put/from-python", "DELETE") as answer:
    assert answer.status == 204, answer.status
try:
    ask(f"{web}/put/from-python")
    raise SystemExit("404 expected")
except urllib.error.HTTPError as error:
    assert error.code == 404, error.code

with ask(f"{web}/cookies") as answer:
    assert len(answer.headers.get_all("Set-Cookie")) == 2, answer.headers
    answer.read()
assert len(jar) == 2, jar
with ask(f"{web}/text/long.txt", headers=[("Accept-Encoding", "gzip")]) as answer:
    packed = answer.read()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == b"all work and no play\n" * 500
print("urllib: GET HEAD POST PUT DELETE, chunked, 304, two cookies, gzip")
