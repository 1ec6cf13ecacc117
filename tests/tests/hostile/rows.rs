//! The table: what is sent, and what is to become of it.

/// What is to become of a row.
pub(crate) enum Fate {
    /// Answered by the proxy with this status and code; nothing passes; the connection ends.
    Refused(u16, &'static str),
    /// Answered by the proxy with this status and code; nothing passes. The framing was clear, so
    /// the connection may go on.
    Own(u16, &'static str),
    /// Answered by the proxy with a page of its own; nothing passes.
    Page(u16),
    /// The client ends in the middle: no answer, or 400 with SC-BODY-CUT if it came before the
    /// end was noticed. The connection ends; nothing passes.
    Dropped,
    /// Forwarded once for each status below 400. Each head at the origin has the first words and
    /// none of the second, without regard to case; then the connection ends.
    Passes(&'static [u16], &'static [&'static str], &'static [&'static str]),
}

use Fate::{Dropped, Own, Page, Passes, Refused};

/// One row: what it is, its bytes, its fate. In the bytes `{o}` stands for the origin's URL,
/// `~` for CR LF, `{port}` for the proxy's port, `{via}` for its name in Via.
pub(crate) struct Row(pub &'static str, pub &'static str, pub Fate);

const FRAMING: Fate = Refused(400, "SC-AMBIGUOUS-LENGTH");
const MALFORMED: Fate = Refused(400, "SC-BAD-REQUEST");
const HOST: Fate = Refused(400, "SC-BAD-HOST");
const TARGET: Fate = Refused(400, "SC-BAD-TARGET");
/// The head before it was sound and may have been passed on; then the gateway cancels it, and no
/// whole request arrives.
const CHUNK: Fate = Refused(400, "SC-BAD-CHUNK");
const NOT_IMPLEMENTED: Fate = Refused(501, "SC-NOT-IMPLEMENTED");
const NOT_HTTP: Fate = Refused(400, "SC-NOT-HTTP");
/// Passes, and there is nothing more to say.
const PASSES: Fate = Passes(&[200], &[], &[]);

// A table is read by its columns.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    // Where does the body end?
    Row("CL and TE", "POST {o}/ HTTP/1.1~Host: x~Content-Length: 4~Transfer-Encoding: chunked~~0~~GET {o}/smuggled HTTP/1.1~Host: x~~", FRAMING),
    Row("TE and CL", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~Content-Length: 6~~0~~G", FRAMING),
    Row("two different CL", "POST {o}/ HTTP/1.1~Host: x~Content-Length: 0~Content-Length: 44~~GET {o}/smuggled HTTP/1.1~Host: x~~", FRAMING),
    Row("two equal CL", "POST {o}/ HTTP/1.1~Host: x~Content-Length: 1~Content-Length: 1~~x", FRAMING),
    Row("CL as a list", "POST {o}/ HTTP/1.1~Host: x~Content-Length: 1, 1~~x", FRAMING),
    Row("CL with a sign", "POST {o}/ HTTP/1.1~Host: x~Content-Length: +1~~x", FRAMING),
    Row("CL below nothing", "POST {o}/ HTTP/1.1~Host: x~Content-Length: -1~~x", FRAMING),
    Row("CL in hex", "POST {o}/ HTTP/1.1~Host: x~Content-Length: 0x1~~x", FRAMING),
    Row("CL beyond 64 bits", "POST {o}/ HTTP/1.1~Host: x~Content-Length: 18446744073709551617~~x", FRAMING),
    Row("CL empty", "POST {o}/ HTTP/1.1~Host: x~Content-Length:~~x", FRAMING),
    Row("CL with a blank in it", "POST {o}/ HTTP/1.1~Host: x~Content-Length: 1 0~~x", FRAMING),
    Row("TE chunked twice", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked, chunked~~0~~", FRAMING),
    Row("TE in two fields", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~Transfer-Encoding: identity~~0~~", FRAMING),
    Row("TE chunked not last", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked, gzip~~0~~", FRAMING),
    Row("TE gzip, chunked", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: gzip, chunked~~0~~", NOT_IMPLEMENTED),
    Row("TE identity", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: identity~~0~~", FRAMING),
    Row("TE xchunked", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: xchunked~~0~~", FRAMING),
    Row("TE in quotes", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: \"chunked\"~~0~~", FRAMING),
    Row("TE in HTTP/1.0", "POST {o}/ HTTP/1.0~Host: x~Transfer-Encoding: chunked~~0~~", FRAMING),
    Row("TE after a vertical tab", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: \u{b}chunked~~0~~", MALFORMED),
    Row("a blank before the colon", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding : chunked~~0~~", MALFORMED),
    Row("a folded line", "POST {o}/ HTTP/1.1~Host: x~X: a~ Transfer-Encoding: chunked~~0~~", MALFORMED),
    Row("a first line that is folded", "GET {o}/ HTTP/1.1~ Host: x~~", MALFORMED),
    Row("TE after a tab", "POST {o}/echo HTTP/1.1~Host: x~Transfer-Encoding:\tchunked~Connection: close~~3~abc~0~~", PASSES),
    Row("names that imitate", "POST {o}/echo HTTP/1.1~Host: x~Connection: close~Content-Length: 3~Transfer_Encoding: chunked~Content_Length: 9~X_Forwarded_For: 6.6.6.6~~abc", Passes(&[200], &["content-length: 3"], &["transfer_encoding", "content_length", "x_forwarded_for"])),
    Row("CL named in Connection", "POST {o}/echo HTTP/1.1~Host: x~Connection: close, content-length~Content-Length: 3~~abc", PASSES),
    // Where does the line end?
    Row("LF alone", "GET {o}/ HTTP/1.1\nHost: x\n\n", MALFORMED),
    Row("one LF alone", "GET {o}/ HTTP/1.1~Host: x\nX: y~~", MALFORMED),
    Row("CR in a value", "GET {o}/ HTTP/1.1~Host: x~X: a\rTransfer-Encoding: chunked~~", MALFORMED),
    Row("NUL in a value", "GET {o}/ HTTP/1.1~Host: x~X: a\0b~~", MALFORMED),
    Row("NUL in a name", "GET {o}/ HTTP/1.1~Host: x~X\0: a~~", MALFORMED),
    Row("a blank in a name", "GET {o}/ HTTP/1.1~Host: x~X Y: a~~", MALFORMED),
    Row("a line without a colon", "GET {o}/ HTTP/1.1~Host: x~X~~", MALFORMED),
    Row("a field without a name", "GET {o}/ HTTP/1.1~Host: x~: a~~", MALFORMED),
    Row("a method that is none", "GE(T {o}/ HTTP/1.1~Host: x~~", MALFORMED),
    Row("a blank in the target", "GET {o}/a b HTTP/1.1~Host: x~~", MALFORMED),
    Row("two blanks", "GET  {o}/ HTTP/1.1~Host: x~~", MALFORMED),
    Row("no version", "GET {o}/~~", NOT_HTTP),
    // Bad chunks, behind a sound head.
    Row("a size that is none", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~zz~abc~0~~", CHUNK),
    Row("a size with a sign", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~+3~abc~0~~", CHUNK),
    Row("a size in C's hex", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~0x3~abc~0~~", CHUNK),
    Row("a size beyond 64 bits", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~10000000000000003~abc~0~~", CHUNK),
    Row("a size with a blank", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~3 ~abc~0~~", CHUNK),
    Row("a size ended by LF", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~3\nabc~0~~", CHUNK),
    Row("an extension with LF", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~3;a\nabc~0~~", CHUNK),
    Row("more than the size", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~3~abcdef~0~~", CHUNK),
    Row("a broken trailer", "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~0~X Y~~", CHUNK),
    Row("an extension", "POST {o}/echo HTTP/1.1~Host: x~Transfer-Encoding: chunked~Connection: close~~3;a=\"b\"~abc~0~~", PASSES),
    Row("trailers that frame", "POST {o}/echo HTTP/1.1~Host: x~Transfer-Encoding: chunked~Connection: close~~3~abc~0~Content-Length: 9~X-Late: 1~~", Passes(&[200], &[], &["x-late", "content-length: 9"])),
    // Who is meant?
    Row("no Host", "GET {o}/ HTTP/1.1~~", HOST),
    Row("two Hosts", "GET {o}/ HTTP/1.1~Host: x~Host: y~~", HOST),
    Row("a Host that is none", "GET {o}/ HTTP/1.1~Host: x/y~~", HOST),
    Row("a Host with a user", "GET /echo HTTP/1.1~Host: a@127.0.0.1~X-SC-HOST: origin~~", HOST),
    Row("a Host with a user beside a URL", "GET {o}/echo HTTP/1.1~Host: a:pw@origin.seacat~Connection: close~~", Passes(&[200], &["get /echo http"], &["a:pw"])),
    Row("another Host", "GET {o}/echo HTTP/1.1~Host: evil.example~Connection: close~~", Passes(&[200], &[], &["evil"])),
    Row("Host named in Connection", "GET {o}/echo HTTP/1.1~Host: x~Connection: close, host~~", Passes(&[200], &["host: "], &[])),
    Row("a user in the URL", "GET http://user:pw@origin.seacat/echo HTTP/1.1~Host: x~Connection: close~~", Passes(&[200], &["get /echo http", "authorization: basic dxnlcjpwdw=="], &["user:pw"])),
    Row("a user, and a slash the other way", "GET http://user\\@origin.seacat/ HTTP/1.1~Host: x~~", TARGET),
    Row("a fragment", "GET {o}/echo#b?c HTTP/1.1~Host: x~Connection: close~~", Passes(&[200], &["get /echo http"], &["#", "?c"])),
    Row("UTF-8 and quotes", "GET {o}/echo?é=\"<a>\"` HTTP/1.1~Host: x~Connection: close~~", Passes(&[200], &["get /echo?é=\"<a>\"` http"], &[])),
    Row("OPTIONS of a host", "OPTIONS {o} HTTP/1.1~Host: x~Connection: close~~", Passes(&[200], &["options * http"], &[])),
    Row("no host in the URL", "GET http:///a HTTP/1.1~Host: x~~", TARGET),
    Row("a port that is none", "GET http://origin.seacat:99999/ HTTP/1.1~Host: x~~", TARGET),
    Row("an asterisk for GET", "GET * HTTP/1.1~Host: x~~", TARGET),
    Row("https without CONNECT", "GET https://origin.seacat/ HTTP/1.1~Host: x~~", Refused(400, "SC-SCHEME")),
    Row("ftp", "GET ftp://origin.seacat/ HTTP/1.1~Host: x~~", Refused(400, "SC-SCHEME")),
    // Ourselves and this machine.
    Row("our own address", "GET http://127.0.0.1:{port}/ HTTP/1.1~Host: x~Connection: close~~", Own(403, "SC-SELF")),
    Row("our own name", "GET http://localhost:{port}/ HTTP/1.1~Host: x~Connection: close~~", Own(403, "SC-SELF")),
    Row("our own address, IPv6", "GET http://[::1]:{port}/ HTTP/1.1~Host: x~Connection: close~~", Own(403, "SC-SELF")),
    Row("this machine", "GET http://127.1.2.3/ HTTP/1.1~Host: x~Connection: close~~", Own(403, "SC-LOOPBACK")),
    Row("this machine, mapped", "GET http://[::ffff:127.0.0.1]/ HTTP/1.1~Host: x~Connection: close~~", Own(403, "SC-LOOPBACK")),
    Row("any address", "GET http://0.0.0.0/ HTTP/1.1~Host: x~Connection: close~~", Own(403, "SC-LOOPBACK")),
    Row("CONNECT to ourselves", "CONNECT 127.0.0.1:{port} HTTP/1.1~Host: x~~", Own(403, "SC-SELF")),
    Row("a loop", "GET {o}/ HTTP/1.1~Host: x~Via: 1.1 {via}~Connection: close~~", Own(502, "SC-LOOP")),
    // CONNECT with rubbish.
    Row("CONNECT to a path", "CONNECT / HTTP/1.1~Host: x~~", TARGET),
    Row("CONNECT to a URL", "CONNECT {o}/ HTTP/1.1~Host: x~~", TARGET),
    Row("CONNECT without a port", "CONNECT origin.seacat HTTP/1.1~Host: x~~", TARGET),
    Row("CONNECT without a host", "CONNECT :80 HTTP/1.1~Host: x~~", TARGET),
    Row("CONNECT beyond the ports", "CONNECT origin.seacat:65536 HTTP/1.1~Host: x~~", TARGET),
    Row("CONNECT with a user", "CONNECT a@origin.seacat:80 HTTP/1.1~Host: x~~", TARGET),
    Row("CONNECT with a body", "CONNECT origin.seacat:80 HTTP/1.1~Host: x~Content-Length: 3~~abc", MALFORMED),
    Row("CONNECT where none is allowed", "CONNECT origin.seacat:80 HTTP/1.1~Host: x~~", Page(403)),
    // Words of ours, and what a gateway could be made to believe.
    Row("CR LF towards the gateway", "GET /echo HTTP/1.1~Host: 127.0.0.1:{port}~X-SC-HOST: origin\r\u{b}X: y~~", MALFORMED),
    Row("CR LF, percent-encoded", "GET {o}/echo?%0d%0aX-Evil:%201 HTTP/1.1~Host: x~Connection: close~~", Passes(&[200], &["/echo?%0d%0ax-evil:%201 http"], &["\r\nx-evil"])),
    Row("X-SC-HOST under a false name", "GET /echo HTTP/1.1~Host: evil.example~X-SC-HOST: origin~Connection: close~~", Own(403, "SC-FOREIGN-HOST")),
    Row("X-SC-HOST", "GET /echo HTTP/1.1~Host: 127.0.0.1:{port}~X-SC-HOST: origin~Connection: close~~", Passes(&[200], &["get /echo http"], &["x-sc-host"])),
    Row("X-SC-HOST twice", "GET /echo HTTP/1.1~Host: 127.0.0.1:{port}~X-SC-HOST: origin~X-SC-HOST: web~Connection: close~~", Own(400, "SC-BAD-HOST")),
    Row("X-SC-HOST that is none", "GET /echo HTTP/1.1~Host: 127.0.0.1:{port}~X-SC-HOST: a b~Connection: close~~", Own(400, "SC-BAD-HOST")),
    Row("credentials for us", "GET {o}/echo HTTP/1.1~Host: x~Proxy-Authorization: Basic c2VjcmV0~Connection: close~~", Passes(&[200], &[], &["proxy-authorization", "c2vjcmv0"])),
    Row("fields of this hop", "GET {o}/echo HTTP/1.1~Host: x~Connection: close, X-Hop~X-Hop: 1~Keep-Alive: 5~TE: trailers~Proxy-Connection: close~~", Passes(&[200], &["\r\nvia: "], &["x-hop", "keep-alive: 5", "\r\nte:", "proxy-connection"])),
    Row("Upgrade: h2c", "GET {o}/echo HTTP/1.1~Host: x~Connection: close, Upgrade, HTTP2-Settings~Upgrade: h2c~HTTP2-Settings: AAMAAABk~~", Passes(&[200], &[], &["h2c", "http2-settings"])),
    Row("Max-Forwards: 0", "TRACE {o}/ HTTP/1.1~Host: x~Max-Forwards: 0~Connection: close~~", Page(200)),
    Row("a page of ours", "GET /proxy.pac HTTP/1.1~Host: 127.0.0.1:{port}~Connection: close~~", Page(200)),
    Row("our page under another name", "GET / HTTP/1.1~Host: evil.example~Connection: close~~", Own(403, "SC-FOREIGN-HOST")),
    Row("our page written to", "POST / HTTP/1.1~Host: 127.0.0.1:{port}~Content-Length: 1~Connection: close~~x", Own(405, "SC-METHOD")),
    // Another protocol altogether.
    Row("HTTP/2 preface", "PRI * HTTP/2.0~~SM~~", NOT_HTTP),
    Row("TLS", "\u{16}\u{3}\u{1}\u{0}\u{a}\u{1}\u{0}\u{0}\u{6}\u{3}\u{3}", NOT_HTTP),
    Row("SOCKS 5", "\u{5}\u{1}\u{0}", MALFORMED),
    Row("HTTP/2.0 in words", "GET {o}/ HTTP/2.0~Host: x~~", Refused(505, "SC-VERSION")),
    Row("HTTP/1.2", "GET {o}/echo HTTP/1.2~Host: x~Connection: close~~", PASSES),
    Row("a method of 33 letters", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG {o}/ HTTP/1.1~Host: x~~", NOT_IMPLEMENTED),
    Row("HTTP/1.10", "GET {o}/ HTTP/1.10~Host: x~~", MALFORMED),
    // Ends.
    Row("a body cut short", "POST {o}/echo HTTP/1.1~Host: x~Content-Length: 10~~abc", Dropped),
    Row("a head cut short", "GET {o}/echo HTTP/1.1~Host: x~X:", Dropped),
    Row("nothing at all", "", Dropped),
    Row("an empty line before", "~GET {o}/echo HTTP/1.1~Host: x~Connection: close~~", PASSES),
    Row("two in one write", "POST {o}/a HTTP/1.1~Host: x~Content-Length: 3~~abcGET {o}/b HTTP/1.1~Host: x~Connection: close~~", Passes(&[200, 200], &[], &["abc"])),
    Row("good, then bad", "GET {o}/a HTTP/1.1~Host: x~~GET {o}/b HTTP/1.1~Host : x~~", Passes(&[200, 400], &["/a"], &["/b"])),
];

/// Rows too long to be written down.
pub(crate) fn long_rows() -> Vec<(&'static str, String, Fate)> {
    const HEAD: Fate = Refused(431, "SC-HEAD-TOO-LARGE");
    let get = |more: &str| format!("GET {{o}}/ HTTP/1.1~Host: x~{more}~~");
    let field = |length: usize| format!("X: {}", "y".repeat(length));
    let many: Vec<String> = (0..1000).map(|n| format!("X-{n}: y")).collect();
    let extension = format!("3;{}~abc~0~~", "e".repeat(100_000));
    let chunked = "POST {o}/ HTTP/1.1~Host: x~Transfer-Encoding: chunked~~";
    let url = format!("GET {{o}}/{} HTTP/1.1~Host: x~~", "y".repeat(65_536));
    // Within the proxy's limit, beyond what the wire can carry in one frame.
    let frame = get(&format!("{}~Connection: close", field(20_000)));
    vec![
        ("a field of 64 KiB", get(&field(65_536)), HEAD),
        ("a thousand fields", get(&many.join("~")), HEAD),
        ("a head beyond one frame", frame, Own(431, "SC-HEAD-TOO-LARGE")),
        ("a URL of 64 KiB", url, Refused(414, "SC-TARGET-TOO-LONG")),
        ("an extension of 100 KB", format!("{chunked}{extension}"), CHUNK),
    ]
}
