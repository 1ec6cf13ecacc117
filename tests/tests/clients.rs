//! Real clients, each as its user would start it, against nginx behind a separate gateway
//! process. None of them knows what SeaCat is.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use seacat_tests::{
    HELLO, Process, World, clean_command, free_port, program_file, scratch, sha256_of,
};

const WEB: &str = "http://web.seacat";
const ORIGIN: &str = "http://origin.seacat";

/// Runs a client to its end; it must end well.
fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().expect("the client starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}\n{said}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// curl through the proxy. `-f` would hide statuses we want to see, so it is not there.
fn curl(world: &World, arguments: &[&str]) -> Output {
    let home = world.proxy.home();
    let proxy = world.proxy.url();
    run(clean_command("curl", &home).args(["-sS", "-m", "60", "-x", &proxy]).args(arguments))
}

#[test]
fn curl_methods_and_statuses() {
    let world = World::start();
    let url = |path: &str| format!("{WEB}{path}");
    assert_eq!(text(&curl(&world, &[&url("/hello.txt")])), HELLO);

    let head = text(&curl(&world, &["-I", &url("/hello.txt")]));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("content-length: 17"), "{head}");
    assert!(head.to_lowercase().contains("\nvia: "), "{head}");

    // PUT, what was put, DELETE, and it is gone.
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    let code = |more: &[&str]| text(&curl(&world, &[&status, more].concat()));
    let file = world.proxy.home().join("upload");
    fs::write(&file, "put by curl").unwrap();
    let put = url("/put/by-curl");
    assert_eq!(code(&["-T", file.to_str().unwrap(), &put]), "201");
    assert_eq!(fs::read_to_string(world.nginx.site().join("put/by-curl")).unwrap(), "put by curl");
    assert_eq!(text(&curl(&world, &[&put])), "put by curl");
    assert_eq!(code(&["-X", "DELETE", &put]), "204");
    assert_eq!(code(&[&put]), "404");

    assert_eq!(code(&[&url("/no-content")]), "204");
    assert_eq!(code(&[&url("/moved")]), "302");
    assert_eq!(text(&curl(&world, &["-L", &url("/moved")])), HELLO);
    assert_eq!(text(&curl(&world, &["-L", &url("/gone-for-good")])), HELLO);

    // 304: first with the tag we were given, then by curl's own bookkeeping.
    let tag = world.proxy.home().join("etag");
    let tag = tag.to_str().unwrap();
    curl(&world, &["--etag-save", tag, "-o", "/dev/null", &url("/hello.txt")]);
    assert_eq!(code(&["--etag-compare", tag, &url("/hello.txt")]), "304");
    println!("curl: GET HEAD PUT DELETE 204 302 301 304 404");
}

#[test]
fn curl_bodies() {
    let world = World::start();
    let (origin, home) = (format!("{ORIGIN}/sum"), world.proxy.home());
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    let (sum, length) = sha256_of(body.as_slice()).unwrap();
    let file = home.join("body");
    fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    let expected = format!("{sum} {length}\n");
    let post = ["--data-binary", &data, "-H", "Content-Type: application/octet-stream"];

    let with_length = curl(&world, &[&post[..], &[&origin]].concat());
    assert_eq!(text(&with_length), expected);

    let chunked = ["-H", "Transfer-Encoding: chunked"];
    let answer = curl(&world, &[&post[..], &chunked, &[&origin]].concat());
    assert_eq!(text(&answer), expected, "chunked upload");

    // curl would go on after a second without an answer; it must not have to.
    let expect = ["-v", "-H", "Expect: 100-continue", "--expect100-timeout", "20"];
    let answer = curl(&world, &[&post[..], &expect, &[&origin]].concat());
    assert_eq!(text(&answer), expected, "100-continue");
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(said.contains("< HTTP/1.1 100"), "100 Continue came: {said}");

    let dripped = curl(&world, &[&format!("{ORIGIN}/drip/20/1")]);
    assert_eq!(dripped.stdout, "drip".repeat(256 * 20).as_bytes(), "chunked download");
    println!("curl: {length} bytes up with length, chunked and after 100-continue; chunked down");
}

#[test]
fn curl_fields() {
    let world = World::start();
    let cookies = text(&curl(&world, &["-i", &format!("{WEB}/cookies")]));
    let cookies: Vec<&str> = cookies.lines().filter(|line| line.contains("Set-Cookie")).collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    assert!(cookies[0].contains("first=1") && cookies[1].contains("second=2"), "{cookies:?}");

    // gzip passes through as it is; asked to, curl unpacks it.
    let long = format!("{WEB}/text/long.txt");
    let packed = curl(&world, &["-H", "Accept-Encoding: gzip", &long]).stdout;
    assert_eq!(packed[..2], [0x1F, 0x8B], "the magic number of gzip");
    let plain = "all work and no play\n".repeat(500);
    assert!(packed.len() < plain.len() / 10, "{} bytes", packed.len());
    assert_eq!(text(&curl(&world, &["--compressed", &long])), plain);

    // What the origin sees: the request, Via, and nothing of the hop before.
    let echo = ["-H", "X-Kept: yes", "-H", "Connection: X-Dropped", "-H", "X-Dropped: secret"];
    let echo = text(&curl(&world, &[&echo[..], &[&format!("{ORIGIN}/echo")]].concat()));
    assert!(echo.starts_with("GET /echo HTTP/1.1\r\n"), "{echo}");
    assert!(echo.contains("X-Kept: yes") || echo.contains("x-kept: yes"), "{echo}");
    assert!(echo.to_lowercase().contains("\r\nvia: "), "{echo}");
    for hop in ["x-dropped", "secret", "proxy-connection"] {
        assert!(!echo.to_lowercase().contains(hop), "{hop} in {echo}");
    }
    println!("curl: two cookies, gzip passed through, hop-by-hop fields kept from the origin");
}

#[test]
fn curl_to_an_https_origin_through_connect() {
    let world = World::start();
    let certificate = world.nginx.certificate();
    let certificate = ["--cacert", certificate.to_str().unwrap()];
    let answer = curl(&world, &[&certificate[..], &["https://secure.seacat/"]].concat());
    assert_eq!(text(&answer), "hello from TLS\n");
    // A host that allows no tunnel refuses it, and curl prints the status.
    let refused = clean_command("curl", &world.proxy.home())
        .args(["-sS", "-m", "20", "-x", &world.proxy.url(), "-o", "/dev/null"])
        .args(["-w", "%{http_connect}", "https://web.seacat/"])
        .output()
        .unwrap();
    let status: u16 = text(&refused).parse().unwrap();
    assert!((400..600).contains(&status), "{status}");
    println!("curl: HTTPS end to end through CONNECT; a host without it answers {status}");
}

#[test]
fn wget() {
    let world = World::start();
    let home = world.proxy.home();
    let mut command = clean_command("wget", &home);
    command.env("http_proxy", world.proxy.url());
    run(command.args(["-q", "-r", "-np", "-nH", "-P", "got", &format!("{WEB}/hello.txt")]));
    assert_eq!(fs::read_to_string(home.join("got/hello.txt")).unwrap(), HELLO);
    let mut command = clean_command("wget", &home);
    command.env("http_proxy", world.proxy.url());
    command.args(["-q", "-O", "-", "--post-data=a=1&b=2", &format!("{ORIGIN}/echo")]);
    let echo = text(&run(&mut command));
    assert!(echo.starts_with("POST /echo ") && echo.ends_with("a=1&b=2"), "{echo}");
    println!("wget: a file, a form");
}

#[test]
fn python_urllib() {
    let world = World::start();
    let mut command = clean_command("/usr/bin/python3", &world.proxy.home());
    command.env("http_proxy", world.proxy.url());
    command.arg(program_file("urllib_client.py")).args([WEB, ORIGIN]);
    print!("{}", text(&run(&mut command)));
}

#[test]
fn java_http_url_connection() {
    let world = World::start();
    let mut command = clean_command("java", &world.proxy.home());
    command.arg("-Dhttp.proxyHost=127.0.0.1");
    command.arg(format!("-Dhttp.proxyPort={}", world.proxy.port()));
    command.arg(program_file("Client.java")).args([WEB, ORIGIN]);
    print!("{}", text(&run(&mut command)));
}

#[test]
fn git_clone_over_http() {
    let world = World::start();
    let home = world.proxy.home();
    let head = repository(&world.nginx.site(), &home);
    let mut command = clean_command("git", &home);
    command.env("http_proxy", world.proxy.url()).env("GIT_TERMINAL_PROMPT", "0");
    run(command.args(["clone", "-q", &format!("{WEB}/repo.git"), "cloned"]));
    let mut command = clean_command("git", &home);
    assert_eq!(text(&run(command.args(["-C", "cloned", "rev-parse", "HEAD"]))), head);
    run(clean_command("git", &home).args(["-C", "cloned", "fsck", "--strict"]));
    println!("git: cloned {} with {} requests", head.trim(), world.nginx.requests().len());
}

/// Makes a repository of 50 commits that a plain web server can serve; returns its head.
fn repository(site: &Path, home: &Path) -> String {
    let git = |dir: &Path, arguments: &[&str]| {
        let mut command = clean_command("git", home);
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]);
        text(&run(command.arg("-C").arg(dir).args(arguments)))
    };
    let work = home.join("work");
    fs::create_dir(&work).unwrap();
    git(&work, &["init", "-q", "-b", "main"]);
    for number in 0..50 {
        fs::write(work.join(format!("file-{number}")), number.to_string().repeat(1000)).unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "-q", "-m", &format!("commit {number}")]);
    }
    let bare = site.join("repo.git");
    git(&work, &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    git(&bare, &["update-server-info"]);
    git(&work, &["rev-parse", "HEAD"])
}

#[test]
fn python_websocket() {
    let home = scratch();
    let port = free_port();
    let mut command = clean_command("/usr/bin/python3", home.path());
    command.arg(program_file("websocket_server.py")).arg(port.to_string());
    let mut server = Process::start("websocket-server", home.path(), &command);
    server.wait_until("ready", |server| server.log().contains("ready").then_some(()));
    let world = World::with_websocket(Some(port));
    for (how, port) in [
        ("connect", world.proxy.port()),
        ("upgrade", world.proxy.port()),
        ("mapped", world.proxy.mapped_port()),
    ] {
        let mut command = clean_command("/usr/bin/python3", home.path());
        command.arg(program_file("websocket_client.py")).args([how, &port.to_string()]);
        print!("{}", text(&run(&mut command)));
    }
}
