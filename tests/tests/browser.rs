//! What web pages in a real browser can reach through the ports: every kind of request a page can
//! make, from a page of another site, of another port, of an allowed origin and of the port itself,
//! and in a browser that uses the proxy as its proxy.

#![allow(clippy::unwrap_used, reason = "a scenario fails where it cannot go on")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use seacat_tests::{
    Gateway, Host, Process, Proxy, free_port, program_file, scratch, user_command, wait_for,
};

/// What the page in `programs/page.html` sends.
const KINDS: [&str; 8] =
    ["chosen", "fetch", "form", "image", "link", "post", "script", "websocket"];
/// What a page of another site may send without asking first (Fetch, "CORS-preflight"): all but the
/// one with a field of its own.
const SIMPLE: [&str; 7] = ["fetch", "form", "image", "link", "post", "script", "websocket"];
/// For a browser to start and finish a page, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A web server that hands out the page and remembers what it was asked for. It is the other site,
/// and the host behind the gateway, too.
struct Site {
    port: u16,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn start() -> Self {
        let port = free_port();
        let paths = Arc::new(Mutex::new(Vec::new()));
        // Two addresses of this computer are two sites for a browser.
        for address in ["127.0.0.1", "127.0.0.2"] {
            let listener = TcpListener::bind((address, port)).unwrap();
            let record = Arc::clone(&paths);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let record = Arc::clone(&record);
                    thread::spawn(move || serve(&stream, &record));
                }
            });
        }
        Site { port, paths }
    }

    /// The kinds of request that arrived from the page `name`, once it is done.
    fn arrived(&self, name: &str) -> BTreeSet<String> {
        let done = format!("/done/{name}");
        wait_for(&done, PATIENCE, || self.paths.lock().unwrap().contains(&done).then_some(()));
        let prefix = format!("/{name}/");
        let paths = self.paths.lock().unwrap();
        paths.iter().filter_map(|path| path.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}

/// Answers one connection until it ends; a handshake of WebSocket is refused, but it has arrived.
fn serve(mut stream: &TcpStream, record: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            (reader.read_until(b'\n', &mut head).ok()? > 0).then_some(())?;
        }
        let head = String::from_utf8(head).ok()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        reader.read_exact(&mut vec![0; length.unwrap_or(0)]).ok()?;
        let path = head.split(' ').nth(1)?.to_owned();
        let (kind, body) = if path.starts_with("/page?") {
            ("text/html", fs::read(program_file("page.html")).ok()?)
        } else {
            ("text/plain", b"arrived".to_vec())
        };
        record.lock().unwrap().push(path);
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
    }
}

/// Opens a page in a browser of its own and waits until it has sent everything; what arrived.
fn browse(site: &Site, page: &str, to: &str, name: &str, arguments: &[&str]) -> BTreeSet<String> {
    let home = scratch();
    let mut command = user_command("chromium", home.path());
    // The sandbox wants another user than root; there is nothing here but our own page.
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-dev-shm-usage"]);
    command.arg(format!("--user-data-dir={}", home.path().join("profile").display()));
    command.args(arguments).arg(format!("{page}/page?to={to}&name={name}"));
    let mut browser = Process::start("chromium", home.path(), &command);
    let arrived = site.arrived(name);
    browser.kill();
    arrived
}

fn set(kinds: &[&str]) -> BTreeSet<String> {
    kinds.iter().map(|kind| (*kind).to_owned()).collect()
}

#[test]
fn pages_reach_only_what_is_theirs() {
    let site = Site::start();
    let host = |name| Host { name, port: site.port, tunnel: true };
    let gateway = Gateway::start(&[host("site"), host("other")]);
    let other_site = format!("http://127.0.0.2:{}", site.port);
    let other_port = format!("http://127.0.0.1:{}", site.port);
    let open = free_port();
    let more = format!(
        "\n[[proxy.map]]\nlisten = \"127.0.0.1:{open}\"\nhost = \"site\"\n\
         allow_origins = [\"{other_site}\"]\n"
    );
    let proxy = Proxy::start_with(gateway.port(), &gateway.ca(), "site", &more);
    let mapped = format!("http://127.0.0.1:{}", proxy.mapped_port());
    let open = format!("http://127.0.0.1:{open}");
    let none = BTreeSet::new();

    // To a mapped port, and to the proxy's own port.
    assert_eq!(browse(&site, &other_site, &mapped, "cross-site", &[]), none);
    assert_eq!(browse(&site, &other_port, &mapped, "same-site", &[]), none);
    assert_eq!(browse(&site, &other_site, &proxy.url(), "proxy-port", &[]), none);
    // From where it is allowed: the port's own pages, and the origin that is listed.
    assert_eq!(browse(&site, &mapped, &mapped, "own", &[]), set(&KINDS));
    let allowed = browse(&site, &other_site, &open, "allowed", &[]);
    assert!(allowed.is_superset(&set(&SIMPLE)), "{allowed:?}");
    // A browser that uses the proxy may do what it does without one.
    let through = format!("--proxy-server={}", proxy.url());
    let proxied =
        browse(&site, "http://site.seacat", "http://other.seacat", "proxied", &[&through]);
    assert!(proxied.is_superset(&set(&SIMPLE)), "{proxied:?}");
}
