//! Answers that servers really send: what passes, what is mended and how, what is refused and why.
//! The same table stands in docs/protocol/choices.md in words. The gateway's tests use it behind the
//! wire, and `suite-hostile` through the whole chain and on a direct route.

/// What becomes of an answer: the status and its phrase, the fields, the body.
pub(crate) enum Becomes {
    /// This head and body.
    Passes(&'static str, &'static str),
    /// 502 with a sentence that names the broken rule.
    Refused(&'static str),
    /// The stream is reset, behind its head or instead of it: the body broke off.
    Torn,
}

use Becomes::{Passes, Refused, Torn};

/// What a server does behind its answer.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    Stays,
    Closes,
}

use Then::{Closes, Stays};

pub(crate) type Row = (&'static str, &'static str, Then, Becomes);

#[rustfmt::skip]
pub(crate) const PASSES: &[Row] = &[
    ("plain", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("no phrase", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("a phrase of its own", "HTTP/1.1 200 Fine, thanks\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 Fine, thanks | Content-Length: 0", "")),
    ("a phrase in UTF-8", "HTTP/1.1 404 Nič tu není\r\nContent-Length: 0\r\n\r\n", Stays, Passes("404 Nič tu není | Content-Length: 0", "")),
    ("an unknown status", "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n", Stays, Passes("299 Odd | Content-Length: 0", "")),
    ("a status beyond 599", "HTTP/1.1 999 Request denied\r\nContent-Length: 0\r\n\r\n", Stays, Passes("999 Request denied | Content-Length: 0", "")),
    ("an empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | Content-Length: 0", "")),
    ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", Stays, Passes("200", "abcde")),
    ("Chunked in capitals", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", Stays, Passes("200", "a")),
    ("chunk extensions", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0;c\r\n\r\n", Stays, Passes("200", "a")),
    ("trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n", Stays, Passes("200", "a")),
    ("to the end of the connection", "HTTP/1.1 200 OK\r\n\r\nto the end", Closes, Passes("200", "to the end")),
    ("HTTP/1.0 to the end", "HTTP/1.0 200 OK\r\n\r\nto the end", Closes, Passes("200", "to the end")),
    ("HTTP/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("no content", "HTTP/1.1 204 No Content\r\n\r\n", Stays, Passes("204", "")),
    ("not modified, with the length of the other", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", Stays, Passes("304 | Content-Length: 9", "")),
    ("100 before", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("102 and 103 before", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("names in their spelling", "HTTP/1.1 200 OK\r\nETag: x\r\nWWW-Authenticate: Basic\r\nDAV: 1\r\nx-lower: 1\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | ETag: x | WWW-Authenticate: Basic | DAV: 1 | x-lower: 1 | Content-Length: 0", "")),
    ("a field twice", "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | Set-Cookie: a=1 | set-cookie: b=2 | Content-Length: 0", "")),
    ("an empty value", "HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | X-Empty:  | Content-Length: 0", "")),
    ("a value in UTF-8", "HTTP/1.1 200 OK\r\nX-A: žluť\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | X-A: žluť | Content-Length: 0", "")),
    ("a coded content", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\u{1f}?", Stays, Passes("200 | Content-Encoding: gzip | Content-Length: 2", "\u{1f}?")),
    ("what concerns one connection", "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n", Closes, Passes("200 | Content-Length: 0", "")),
    ("an offer of h2c", "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | Content-Length: 0", "")),
    ("a challenge of a proxy", "HTTP/1.1 200 OK\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | Content-Length: 0", "")),
    ("a redirect elsewhere", "HTTP/1.1 302 Found\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n", Stays, Passes("302 | Location: http://other.test/ | Content-Length: 0", "")),
    ("a relative redirect", "HTTP/1.1 301 Moved Permanently\r\nLocation: /docs/\r\nContent-Length: 0\r\n\r\n", Stays, Passes("301 | Location: /docs/ | Content-Length: 0", "")),
];

#[rustfmt::skip]
pub(crate) const MENDED: &[Row] = &[
    ("no space behind the status", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Stays, Passes("204", "")),
    ("204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", Stays, Passes("204", "")),
    ("204 with chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Stays, Passes("204", "")),
    ("304 with chunks", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Stays, Passes("304", "")),
    ("a blank before the colon", "HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | X-A: 1 | Content-Length: 0", "")),
    ("a blank before the first field", "HTTP/1.1 200 OK\r\n X-A: 1\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | Content-Length: 0", "")),
    ("a folded field", "HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n charset=utf-8\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | Content-Type: text/html; charset=utf-8 | Content-Length: 0", "")),
    ("folded by a tab", "HTTP/1.1 200 OK\r\nX-A: 1\r\n\t2\r\nContent-Length: 0\r\n\r\n", Stays, Passes("200 | X-A: 1 2 | Content-Length: 0", "")),
    ("HTTP/1.0 with chunks", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", Closes, Passes("200", "a")),
    ("SHOUTcast", "ICY 200 OK\r\nicy-name: radio\r\n\r\nmusic", Closes, Passes("200 | icy-name: radio", "music")),
    ("identity with a length, kept open", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("identity to the end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok", Closes, Passes("200", "ok")),
    ("lines that end in LF", "HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 2\n\nok", Stays, Passes("200 | X-A: 1 | Content-Length: 2", "ok")),
    ("an empty line before", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("the same length in a list", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
    ("a length beside chunks", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", Stays, Passes("200", "a")),
    ("chunks in lines that end in LF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n", Stays, Passes("200", "a")),
    ("a blank behind the chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1  \r\na\r\n0 \r\n\r\n", Stays, Passes("200", "a")),
    ("zeros before the chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0001\r\na\r\n000\r\n\r\n", Stays, Passes("200", "a")),
    ("no end of the trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", Closes, Passes("200", "a")),
    ("blanks around the length", "HTTP/1.1 200 OK\r\nContent-Length:   2  \r\n\r\nok", Stays, Passes("200 | Content-Length: 2", "ok")),
];

#[rustfmt::skip]
pub(crate) const REFUSED: &[Row] = &[
    ("no HTTP", "rubbish\r\n\r\n", Stays, Refused("it is not HTTP")),
    ("SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", Stays, Refused("it is not HTTP")),
    ("SMTP", "220 mail.test ESMTP\r\n", Stays, Refused("it is not HTTP")),
    ("an alert of TLS", "\u{15}\u{3}\u{1}\0\u{2}\u{2}F", Stays, Refused("it is not HTTP")),
    ("HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", Stays, Refused("it is not HTTP")),
    ("a page without a head", "<html>hello</html>", Closes, Refused("it is not HTTP")),
    ("a status that is no number", "HTTP/1.1 20x OK\r\n\r\n", Stays, Refused("The status of the response")),
    ("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", Stays, Refused("The status of the response")),
    ("a status below 100", "HTTP/1.1 099 OK\r\n\r\n", Stays, Refused("The status of the response")),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok", Stays, Refused("two different lengths")),
    ("two lengths in a list", "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok", Stays, Refused("two different lengths")),
    ("a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Stays, Refused("is no number")),
    ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Stays, Refused("is no number")),
    ("a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", Stays, Refused("is no number")),
    ("an endless length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", Stays, Refused("is no number")),
    ("a blank before the length", "HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok", Stays, Refused("A blank stands before the length")),
    ("a coding on the way", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Closes, Refused("transfer coding other than")),
    ("a coding under chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Stays, Refused("transfer coding other than")),
    ("a coding over chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", Closes, Refused("transfer coding other than")),
    ("a control character", "HTTP/1.1 200 OK\r\nX-A: a\u{1}b\r\n\r\n", Stays, Refused("a control character")),
    ("a CR alone", "HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: b\r\n\r\n", Stays, Refused("a control character")),
    ("a name of two words", "HTTP/1.1 200 OK\r\nX A: 1\r\n\r\n", Stays, Refused("an invalid name")),
    ("no name", "HTTP/1.1 200 OK\r\n: 1\r\n\r\n", Stays, Refused("an invalid name")),
    ("a line without a colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", Stays, Refused("without a colon")),
    ("the end in the middle of the head", "HTTP/1.1 200 OK\r\nContent-Le", Closes, Refused("in the middle of the head")),
    ("nothing", "", Closes, Refused("without an answer")),
    ("another protocol, unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Stays, Refused("not asked for")),
    ("407", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", Stays, Refused("as only a proxy may")),
    ("a chunk size that is no number", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Stays, Torn),
    ("a chunk longer than it says", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", Stays, Torn),
    ("the end in the middle of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Closes, Torn),
    ("the end before the length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", Closes, Torn),
];
