"""requests: a session with cookies, a redirect, a form with a file.

Usage: http_proxy=… requests_client.py WEB ORIGIN (base URLs of nginx and of our own origin)
"""

import sys

import requests

web, origin = sys.argv[1:3]
with requests.Session() as session:
    assert session.get(f"{web}/cookies").ok
    assert session.cookies.get_dict() == {"first": "1", "second": "2"}
    moved = session.get(f"{web}/moved")
    assert moved.text == "hello from nginx\n" and len(moved.history) == 1, moved.history
    form = session.post(f"{origin}/echo", data={"a": "1"}, files={"file": ("name", b"content")})
    assert "first=1" not in form.text, "nginx' cookies are nginx' own"
    assert 'filename="name"' in form.text and "content" in form.text, form.text
print("requests: two cookies, a redirect, a form")
