//! Which programs use the proxy, and why a request of theirs failed: found in the kernel's tables
//! while real clients run.

#![allow(clippy::unwrap_used, reason = "a story fails where it cannot go on")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use seacat_tests::{Process, Proxy, World, clean_command, program_file, wait_for};
use serde_json::Value;

const WEB: &str = "http://web.seacat";
const ORIGIN: &str = "http://origin.seacat";
/// For a list or a file that follows an event, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client with the proxy in its environment.
fn client(world: &World, program: &str) -> Command {
    let mut command = clean_command(program, &world.proxy.home());
    command.env("http_proxy", world.proxy.url()).env("GIT_TERMINAL_PROMPT", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// `seacat-proxy` on the same configuration.
fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = Proxy::command(&world.proxy.home());
    command.args(["--config", "config.toml"]).args(arguments);
    command
}

fn said(world: &World, arguments: &[&str]) -> (bool, String) {
    let done = command(world, arguments).output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// The latest list that a watcher has printed.
fn latest(watcher: &Process) -> Option<Vec<Value>> {
    let log = watcher.log();
    log.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

fn named<'a>(list: &'a [Value], name: &str) -> Option<&'a Value> {
    list.iter().find(|it| it["program"]["name"] == name)
}

#[test]
fn programs_have_the_names_that_people_use() {
    let world = World::start();
    let home = world.proxy.home();
    let watch = command(&world, &["apps", "--watch", "--json"]);
    let mut watcher = Process::start("apps", &home, &watch);
    watcher.wait_until("the list is watched", latest);

    let java = |command: &mut Command| {
        command.arg("-Dhttp.proxyHost=127.0.0.1");
        command.arg(format!("-Dhttp.proxyPort={}", world.proxy.port()));
        command.arg(program_file("Client.java")).args([WEB, ORIGIN]);
    };
    for (program, arguments) in [
        ("curl", vec!["-sS".to_owned(), format!("{WEB}/hello.txt")]),
        ("wget", vec!["-q".to_owned(), "-O-".to_owned(), format!("{WEB}/hello.txt")]),
        ("git", vec!["ls-remote".to_owned(), format!("{WEB}/no-repository.git")]),
    ] {
        // That there is no such repository is no matter here: git has asked.
        let _ = client(&world, program).args(arguments).status().unwrap();
    }
    let mut python = client(&world, "/usr/bin/python3");
    assert!(
        python
            .arg(program_file("urllib_client.py"))
            .args([WEB, ORIGIN])
            .status()
            .unwrap()
            .success()
    );
    let mut command = client(&world, "java");
    java(&mut command);
    assert!(command.status().unwrap().success());

    let all = ["curl", "wget", "git", "Python", "Java"];
    let list = watcher.wait_until("all five", |watcher| {
        latest(watcher).filter(|list| all.iter().all(|name| named(list, name).is_some()))
    });
    assert_eq!(named(&list, "Python").unwrap()["program"]["runs"], "urllib_client.py");
    assert_eq!(named(&list, "Java").unwrap()["program"]["runs"], "Client.java");
    let curl = named(&list, "curl").unwrap();
    assert_eq!((&curl["requests"], &curl["failures"]), (&1.into(), &0.into()), "{curl}");
    assert_eq!(curl["hosts"], Value::from(vec!["web.seacat"]));
    let git = named(&list, "git").unwrap();
    assert_eq!((&git["failures"], &git["last_failure"]["status"]), (&git["requests"], &404.into()));

    let (_, text) = said(&world, &["apps"]);
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(line("curl ").ends_with("  works"), "{text}");
    assert!(line("git ").contains("failed: 404 from web.seacat"), "{text}");
}

#[test]
fn a_request_that_failed_is_found_by_the_code_on_its_page() {
    let mut world = World::start();
    // Nothing watches: a program is looked up because its request fails.
    let page = || {
        let mut curl = client(&world, "curl");
        curl.args(["-sS", "-H", "Accept: application/json", "http://nosuch.seacat/a?secret=1"]);
        let body = curl.stdout(Stdio::piped()).output().unwrap().stdout;
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let (first, second) = (page(), page());
    assert_eq!(first["code"], "SC-GW-HOST", "{first}");
    let code = second["request"].as_str().unwrap().to_owned();
    let explained = |world: &World| {
        let (well, text) = said(world, &["requests", &code, "--json"]);
        assert!(well, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let it = explained(&world);
    assert_eq!(
        (&it["line"]["status"], &it["line"]["answered_by"]),
        (&404.into(), &"gateway".into())
    );
    assert_eq!((&it["line"]["program"]["name"], &it["times"]), (&"curl".into(), &2.into()));
    let (_, text) = said(&world, &["requests", &code.to_lowercase()]);
    assert!(
        text.contains("nosuch.seacat/a\n") && text.contains("The gateway does not know"),
        "{text}"
    );
    let (well, text) = said(&world, &["requests", "000000"]);
    assert!(!well && text.contains("no failed request has the code 000000"), "{text}");
    let (_, list) = said(&world, &["apps"]);
    assert!(list.contains("2 of the last 2 failed: 404 from nosuch.seacat"), "{list}");

    // It outlives the process, without the query.
    let file = world.proxy.home().join("state/seacat-proxy/failed-requests.jsonl");
    let kept = wait_for("the failed requests are written", PATIENCE, || {
        fs::read_to_string(&file).ok().filter(|text| text.contains(&code))
    });
    assert!(!kept.contains("secret"), "{kept}");
    world.proxy.restart();
    assert_eq!(explained(&world)["times"], 2);

    // And it is gone, with its file, when it is not to be kept.
    let (well, text) = said(&world, &["config", "set", "log.failed_requests", "false"]);
    assert!(well, "{text}");
    wait_for("the file is deleted", PATIENCE, || (!file.exists()).then_some(()));
    assert!(!said(&world, &["requests", &code]).0);
}
