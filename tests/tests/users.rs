//! Other users of the same computer: refused with a page that explains, served when they are named.
//!
//! Users are made by setpriv, with ids that no account has. Only root may do that, so another user
//! does it in a user namespace, whose ids are those of /etc/subuid.

#![allow(clippy::unwrap_used, reason = "a scenario fails where it cannot go on")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::Duration;

use seacat_tests::{Proxy, World, clean_command, scratch, wait_for};

/// A user without an account here.
const PERSON: &str = "4711";
/// Debian's user `nobody`; by its number (65534) an ordinary user.
const NOBODY: &str = "nobody";
/// A system account of Debian, with the id 1.
const SYSTEM: &str = "daemon";
/// Of all of them: Debian's nogroup.
const GROUP: &str = "65534";
/// How long a changed configuration may take to be in effect, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn am_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program run by another user.
fn as_user(user: &str, program: &str, arguments: &[&str]) -> Command {
    let folder = std::env::temp_dir();
    let mut command = clean_command(if am_root() { "setpriv" } else { "unshare" }, &folder);
    if !am_root() {
        command.args(["--map-root-user", "--map-auto", "--", "setpriv"]);
    }
    command.args(["--reuid", user, "--regid", GROUP, "--clear-groups", "--", program]);
    command.args(arguments);
    command
}

/// What curl, run by a user, prints: the body, a space, the status.
fn curl(user: &str, arguments: &[&str]) -> String {
    let mut command = as_user(user, "curl", &["--silent", "--show-error"]);
    command.args(["--max-time", "30", "--write-out", " %{response_code}"]).args(arguments);
    let done = command.output().expect("curl starts");
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(error.is_empty() || error.contains("CONNECT"), "{arguments:?}: {error}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn is_refused(answer: &str) -> bool {
    answer.contains("[SC-FOREIGN-USER]") && answer.ends_with(" 403")
}

/// Changes the configuration of a running proxy.
fn configure(proxy: &Proxy, key: &str, value: &str) {
    let mut command = Proxy::command(&proxy.home());
    command.args(["--config", "config.toml", "config", "set", key, value]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn other_users_are_refused_unless_they_are_named() {
    let world = World::start();
    let proxy = world.proxy.url();
    let mapped = format!("http://127.0.0.1:{}/mapped", world.proxy.mapped_port());
    let through = ["--proxy", &proxy, "http://origin.seacat/asked"];
    world.origin.take_seen();

    // By every way, and nothing arrives.
    let refused = curl(PERSON, &through);
    assert!(is_refused(&refused), "{refused}");
    assert!(is_refused(&curl(PERSON, &[&mapped])));
    assert!(is_refused(&curl(PERSON, &["--data", "body", &mapped])));
    let chosen = curl(PERSON, &["--header", "X-SC-HOST: origin", &format!("{proxy}/chosen")]);
    assert!(is_refused(&chosen), "{chosen}");
    assert!(is_refused(&curl(PERSON, &[&proxy])), "the proxy's own pages");
    let tunnel = ["--proxytunnel", "--proxy", &proxy, "--dump-header", "-"];
    let tunnel = curl(PERSON, &[&tunnel[..], &["http://secure.seacat/"]].concat());
    assert!(tunnel.starts_with("HTTP/1.1 403 ") && tunnel.contains("SC-FOREIGN-USER"), "{tunnel}");
    let page = curl(PERSON, &["--header", "Accept: text/html", &mapped]);
    assert!(page.contains("<h1>Another user of this computer runs this proxy</h1>"), "{page}");
    assert_eq!(world.origin.take_seen().len(), 0);

    // We ourselves, and the system's accounts, among them apt's.
    assert_eq!(world.proxy.client().get("http://origin.seacat/").unwrap().status, 200);
    if am_root() {
        assert!(curl(SYSTEM, &through).ends_with(" 200"));
        assert!(curl(SYSTEM, &[&mapped]).ends_with(" 200"));
        assert!(is_refused(&curl(NOBODY, &through)));
    }

    // By the id that the page names; in a user namespace it is not the one asked for.
    let id = refused.split("with the id ").nth(1).unwrap().split('.').next().unwrap();
    configure(&world.proxy, "proxy.users", id);
    wait_for("a user that is named now", PATIENCE, || {
        curl(PERSON, &through).ends_with(" 200").then_some(())
    });
    assert!(curl(PERSON, &[&mapped]).ends_with(" 200"));
    if am_root() {
        configure(&world.proxy, "proxy.users", "no-such-user, nobody");
        wait_for("a user that is named by a name", PATIENCE, || {
            curl(NOBODY, &through).ends_with(" 200").then_some(())
        });
        assert!(is_refused(&curl(PERSON, &through)));
    }
    configure(&world.proxy, "proxy.users", "*");
    wait_for("everyone served", PATIENCE, || {
        curl(PERSON, &through).ends_with(" 200").then_some(())
    });
}

#[test]
fn a_client_that_leaves_at_once_is_not_served_either() {
    let world = World::start();
    world.origin.take_seen();
    let [proxy, mapped] = [world.proxy.port(), world.proxy.mapped_port()];
    // Whoever looks late finds no owner, and the kernel says root.
    let script = format!(
        "for i in $(seq 50); do for port in {proxy} {mapped}; do
           exec 3<>/dev/tcp/127.0.0.1/$port
           printf 'POST http://origin.seacat/left HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\
           Content-Length: 1\\r\\n\\r\\nx' >&3
           exec 3<&- 3>&-
         done; done"
    );
    let done = as_user(PERSON, "bash", &["-c", &script]).status().unwrap();
    assert!(done.success());
    // Behind them in the queue, and long enough for what would have been sent on to arrive.
    let mut client = world.proxy.client();
    for _ in 0..20 {
        assert_eq!(client.get("http://origin.seacat/slow/5").unwrap().status, 200);
    }
    let seen = world.origin.take_seen();
    assert!(seen.iter().all(|it| it.line() == "GET /slow/5 HTTP/1.1"), "{:?}", seen[0].line());
}

#[test]
fn credentials_open_the_proxy_port_to_other_users() {
    let folder = scratch();
    let file = folder.path().join("credentials");
    fs::write(&file, "ann:secret\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let world = World::start();
    configure(&world.proxy, "proxy.credentials_file", file.to_str().unwrap());
    let proxy = world.proxy.url();
    let through = ["--proxy", &proxy, "http://origin.seacat/"];
    wait_for("credentials demanded", PATIENCE, || {
        curl(PERSON, &through).ends_with(" 407").then_some(())
    });
    let with = [&["--proxy-user", "ann:secret"], &through[..]].concat();
    assert!(curl(PERSON, &with).ends_with(" 200"));
    let mapped = format!("http://127.0.0.1:{}/", world.proxy.mapped_port());
    assert!(is_refused(&curl(PERSON, &[&mapped])), "mapped ports cannot ask for credentials");
}
