"""A client of the reference era: TLS 1.2 with one suite, no SNI, the CA and the CN checked by hand,
one frame in one record both ways. It says what was recorded from the real one, in its order.

    reference_client.py PORT NAME CA GOLDEN SUITE anonymous   CSRs (its own too), CERT_QUERY
    reference_client.py PORT NAME CA GOLDEN SUITE identified  requests, PING, a reverse socket

It prints what happens, one line each, and reads from its standard input to go on where somebody else
has to act. Its own key and certificate are kept in the working directory.
"""

import hashlib
import json
import socket
import ssl
import subprocess
import sys
import time

PORT, NAME, CA, GOLDEN, SUITE, PART = sys.argv[1:]
EXTENSIONS = (0x80A1, 0x58)  # our gateway's announcement; a type this client does not know
RST_STREAM = (0x8003, 3)
# Streams that were answered. The gateway may answer before it has read our end, and then tells us
# to stop; the client of that time has forgotten the stream and does not care.
forgotten = set()


def say(*words):
    print(*words, flush=True)


def recorded(file, name):
    """A recorded frame."""
    with open(f"{GOLDEN}/{file}.json", encoding="utf-8") as items:
        return next(bytes.fromhex(it["hex"]) for it in json.load(items) if it["name"] == name)


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **more).stdout


# --- TLS ------------------------------------------------------------------------------------------


def connect(certificate=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITE + ":@SECLEVEL=0")
    context.check_hostname = False
    context.load_verify_locations(CA)
    if certificate:
        context.load_cert_chain(*certificate)
    # Without a server_hostname there is no SNI.
    tls = context.wrap_socket(socket.create_connection(("127.0.0.1", int(PORT))))
    tls.settimeout(20)
    peer = tls.getpeercert()
    names = [dict(part[0] for part in peer[side])["commonName"] for side in ("subject", "issuer")]
    assert names == [NAME, "ca.seacat.mobi"], names
    say("tls", tls.version(), tls.cipher()[0])
    return tls


def read(tls):
    """What one record holds: one frame, or this is no gateway for the reference client."""
    record = tls.recv(16384)
    assert len(record) >= 8, record
    length = int.from_bytes(record[5:8], "big")
    assert len(record) == 8 + length, f"a record of {len(record)} bytes, a frame of {8 + length}"
    if record[0] & 0x80:
        kind = (int.from_bytes(record[:2], "big"), int.from_bytes(record[2:4], "big"))
        if kind == EXTENSIONS or (kind == RST_STREAM and record[8:12] in forgotten):
            return read(tls)
        return kind, record[4], record[8:]
    return int.from_bytes(record[:4], "big"), record[4], record[8:]


# --- identity -------------------------------------------------------------------------------------


def der(tag, *parts):
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def inside(element):
    """The content of a DER element that fills its input."""
    return element[2:] if element[1] < 0x80 else element[2 + (element[1] & 0x7F):]


def own_request():
    """A CSR as the reference writes it: version 1, where PKCS#10 has 0 alone, signed with SHA-1."""
    openssl("genrsa", "-traditional", "-out", "own.key", "2048")
    request = openssl("req", "-new", "-key", "own.key", "-subj", "/CN=Reference", "-outform", "DER")
    content = inside(request)
    head = 2 if content[1] < 0x80 else 2 + (content[1] & 0x7F)
    size = content[1] if head == 2 else int.from_bytes(content[2:head], "big")
    info = content[head:head + size]
    assert info[:3] == b"\x02\x01\x00", "version 0 comes first"
    info = der(0x30, b"\x02\x01\x01", info[3:])
    signature = openssl("dgst", "-sha1", "-sign", "own.key", input=info)
    sha1_with_rsa = bytes.fromhex("300d06092a864886f70d0101050500")
    return der(0x30, info, sha1_with_rsa, der(0x03, b"\0", signature))


def own_public_key():
    """PKCS#1 RSAPublicKey, of which the client id is made."""
    return openssl("rsa", "-in", "own.key", "-RSAPublicKey_out", "-outform", "DER")


def cert_query(number, key=b""):
    body = number.to_bytes(2, "big") + b"\0\1" + key
    return b"\x80\xa1\x00\xc2\x00" + len(body).to_bytes(3, "big") + body


def anonymous():
    request = own_request()
    public = own_public_key()
    tls = connect()
    csr = b"\x80\xa1\x00\xc1\x01" + len(request).to_bytes(3, "big") + request
    for whose, frame in [("recorded", recorded("identity", "csr")), ("own", csr)]:
        tls.sendall(frame)
        kind, flags, _ = read(tls)
        assert kind == (0x80A1, 0xC4), kind
        say("csr", whose, f"{flags:#04x}")
    tls.sendall(recorded("identity", "characteristics"))
    assert read(tls) == ((0x80B5, 3), 0, b"\0\0\0\1"), "acknowledged"
    say("characteristics acknowledged")
    # In process, until the administrator has approved both.
    tls.sendall(recorded("identity", "cert_query"))
    assert read(tls) == ((0x80A1, 0xC3), 0, b"\0\1\0\0"), "in process"
    say("tag", tag(recorded("identity", "cert_query")[12:]), tag(public))
    sys.stdin.readline()
    for number, key in [(1, recorded("identity", "cert_query")[12:]), (2, public)]:
        tls.sendall(cert_query(number, key))
        kind, flags, body = read(tls)
        assert (kind, flags, body[:2]) == ((0x80A1, 0xC3), 0, number.to_bytes(2, "big")), body
        assert len(body) > 4, "a certificate"
        subject = openssl("x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253", input=body[4:])
        say("cert", subject.decode().strip())
    pem = openssl("x509", "-inform", "DER", input=body[4:])
    with open("own.pem", "wb") as file:
        file.write(pem)


def tag(key):
    import base64
    return base64.b32encode(hashlib.sha384(key).digest()[:10]).decode()


# --- requests and a socket ------------------------------------------------------------------------


def answer(tls, stream):
    """Status, whether the head ended the stream, and the body."""
    (kind, flags, body) = read(tls)
    assert kind == (0x80A1, 2) and int.from_bytes(body[:4], "big") == stream, (kind, body)
    status, ended, all = int.from_bytes(body[4:6], "big"), flags & 1, b""
    # The Python layer of that time does not look at FIN here: the end must come as DATA.
    assert not ended, "FIN on SYN_REPLY"
    while True:
        kind, flags, body = read(tls)
        assert kind == stream, kind
        all += body
        if flags & 1:
            forgotten.add(stream.to_bytes(4, "big"))
            return status, all


def identified():
    tls = connect(("own.pem", "own.key"))
    tls.sendall(cert_query(1))
    kind, _, body = read(tls)
    assert kind == (0x80A1, 0xC3) and len(body) > 4, "known by the certificate alone"
    say("cert known")
    for stream, name in [
        (1, "get_no_headers.0.syn_stream"),
        (3, "get_5_headers.0.syn_stream"),
        (5, "head.0.syn_stream"),
    ]:
        tls.sendall(recorded("http", name))
        status, body = answer(tls, stream)
        say("answer", name.split(".")[0], status, len(body) > 0)
    for stream, name, pieces in [(7, "post_small", 1), (9, "post_empty_body", 1)]:
        for nth, kind in enumerate(["syn_stream"] + ["data"] * pieces):
            tls.sendall(recorded("http", f"{name}.{nth}.{kind}"))
        status, body = answer(tls, stream)
        sent = recorded("http", f"{name}.1.data")[8:]
        say("answer", name, status, body.endswith(sent))
    sent = b""
    tls.sendall(recorded("http_big", "post_20000.0.syn_stream"))
    for nth in (1, 2, 3):
        frame = recorded("http_big", f"post_20000.{nth}.data")
        sent += frame[8:]
        tls.sendall(frame)
    status, body = answer(tls, 13)
    say("answer post_20000", status, len(sent) == 20000 and body.endswith(sent))
    for name in ("ping.0.client.id1", "ping.2.client.id3"):
        frame = recorded("ping", name)
        tls.sendall(frame)
        assert read(tls) == ((0x8003, 6), 0, frame[8:])
        say("pong", int.from_bytes(frame[8:], "big"))
    uploads(tls)
    reverse_socket(tls)


def uploads(tls):
    """How long small uploads take, in ms. SYN_STREAM and DATA leave as two segments, since neither this
    client nor the reference one sets TCP_NODELAY: an acknowledgement that is delayed by 40 ms holds up
    the second."""
    times = []
    for stream in range(101, 141, 2):
        number = stream.to_bytes(4, "big")
        head, data = recorded("http", "post_small.0.syn_stream"), recorded("http", "post_small.1.data")
        begin = time.monotonic()
        tls.sendall(head[:8] + number + head[12:])
        tls.sendall(number + data[4:])
        status, _ = answer(tls, stream)
        assert status == 200, status
        times.append(time.monotonic() - begin)
    say("uploads", round(1000 * sorted(times)[len(times) // 2]))


def reverse_socket(tls):
    say("ready for a visitor")
    # What the gateway asks for is the recorded request, byte for byte; so are our answers.
    kind, flags, body = read(tls)
    assert (kind, flags) == ((0x80B2, 1), 0) and body == bytes.fromhex("0000000201fe1b58"), body
    tls.sendall(recorded("sockets", "tunnel.01.sockets_reply.sid2"))
    tls.sendall(recorded("sockets", "tunnel.02.data.sid2"))  # banner
    said = b""
    while said != b"hello":
        kind, flags, body = read(tls)
        assert (kind, flags) == (2, 0), (kind, flags)
        said += body
    tls.sendall(recorded("sockets", "tunnel.04.data.sid2"))  # HELLO
    say("socket echoed")
    while not flags & 1:
        kind, flags, body = read(tls)
        assert kind == 2
        said += body
    assert said == b"hellolast", said
    # The reference client does not pass the end on; its service speaks, and ends by itself.
    tls.sendall(recorded("sockets", "tunnel.06.data.sid2"))  # LAST
    tls.sendall(bytes.fromhex("0000000201000000"))
    say("socket ended")
    # A second visitor: the reference client has one place.
    kind, flags, body = read(tls)
    assert kind == (0x80B2, 1) and body == bytes.fromhex("0000000401fe1b58"), body
    tls.sendall(recorded("sockets", "tunnel.08.sockets_reply.sid4"))
    say("second refused")
    sys.stdin.readline()
    tls.unwrap()
    say("goodbye answered")


{"anonymous": anonymous, "identified": identified}[PART]()
