//! What back ends do with their connections and answers.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use seacat_tests::{Gateway, Host, Nginx, Proxy, clean_command, free_port, succeed};

const POSTS: u32 = 100;

/// A back end that announces nothing and closes every connection 2 ms after its answer, as some
/// embedded servers do. The next request may be on its way by then.
fn closing_back_end(posts: Arc<AtomicU32>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let posts = Arc::clone(&posts);
            thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines();
                // It has no body.
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                posts.fetch_add(1, Ordering::Relaxed);
                (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
                thread::sleep(Duration::from_millis(2));
                stream.shutdown(Shutdown::Both).unwrap();
            });
        }
    });
    port
}

#[test]
fn a_post_never_meets_a_closing_connection() {
    let posts = Arc::new(AtomicU32::new(0));
    let port = closing_back_end(Arc::clone(&posts));
    let gateway = Gateway::start(&[Host { name: "closing", port, tunnel: false }]);
    let proxy = Proxy::start(gateway.port(), &gateway.ca(), "closing");
    let mut client = proxy.client();
    for nth in 0..POSTS {
        let post = "POST http://closing.seacat/ HTTP/1.1\r\nHost: closing.seacat\r\n\
                    Content-Length: 0\r\n\r\n";
        let answer = client.ask(post.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "POST {nth}: {}", answer.text());
        // Before, at and after the moment of closing.
        thread::sleep(Duration::from_millis(u64::from(nth % 5)));
    }
    assert_eq!(posts.load(Ordering::Relaxed), POSTS, "each came once");
    println!("{POSTS} POSTs to a back end that closes: none lost, none twice");
}

#[test]
fn nginx_packs_when_via_is_off() {
    let nginx = Nginx::start();
    fs::create_dir(nginx.site().join("packed")).unwrap();
    let text = "all work and no play\n".repeat(5000);
    fs::write(nginx.site().join("packed/long.txt"), &text).unwrap();
    let uri = format!("uri = \"http://127.0.0.1:{}\"\n", nginx.port());
    let hosts = format!("\n[host.plain]\n{uri}\n[host.packed]\n{uri}via = \"off\"\n");
    let gateway = Gateway::start_with(&[], &hosts);
    let proxy = Proxy::start(gateway.port(), &gateway.ca(), "plain");
    let size = |host: &str| {
        let mut curl = clean_command("curl", &proxy.home());
        curl.args(["-sS", "--compressed", "-x", &proxy.url(), "-o", "got"]);
        curl.args(["-w", "%{size_download}", &format!("http://{host}.seacat/packed/long.txt")]);
        let size = succeed(&mut curl).parse::<usize>().unwrap();
        assert_eq!(fs::read_to_string(proxy.home().join("got")).unwrap(), text);
        size
    };
    let (plain, packed) = (size("plain"), size("packed"));
    assert_eq!(plain, text.len(), "nginx packs nothing for proxies");
    assert!(packed < text.len() / 50, "{packed} bytes");
    println!("gzip of nginx: {plain} bytes with Via, {packed} without");
}
