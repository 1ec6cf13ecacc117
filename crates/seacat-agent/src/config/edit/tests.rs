use super::*;
use crate::config::Sources;
use crate::config::load::load;
use tempfile::TempDir;

fn file(text: &str) -> (TempDir, PathBuf, Loaded) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let loaded = load(&Sources { file: path.clone(), ..Sources::default() }).unwrap();
    (folder, path, loaded)
}

#[test]
fn comments_and_order_survive() {
    let (_folder, path, loaded) = file(
        "# mine\n[log] # here\nlevel = \"info\"   # chatty\n\n# the port\n[proxy]\n# free since May\nport = 3129 # why\n",
    );
    set(&path, &loaded, "proxy.port", "3130").unwrap();
    set(&path, &loaded, "log.level", "debug").unwrap();
    set(&path, &loaded, "channel.wait", "5s").unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "# mine\n[log] # here\nlevel = \"debug\"   # chatty\n\n# the port\n[proxy]\n# free since May\nport = 3130 # why\n\n[channel]\nwait = \"5s\"\n"
    );
    unset(&path, &loaded, "log.level").unwrap();
    assert!(!fs::read_to_string(&path).unwrap().contains("level"));
}

#[test]
fn elements_of_lists_keep_their_comments() {
    let (_folder, path, loaded) = file(
        "# the office\n[[gateway]]\nhost = \"a\" # Prague\nport = 8443\n\n# the spare\n[[gateway]]\nhost = \"b\"\n",
    );
    set(&path, &loaded, "gateway", "[{host=\"a\",port=9443},{host=\"c\",weight=2}]").unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "# the office\n[[gateway]]\nhost = \"a\" # Prague\nport = 9443\n\n# the spare\n[[gateway]]\nhost = \"c\"\nweight = 2\n"
    );
    set(&path, &loaded, "gateway", "[{host=\"a\"}]").unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "# the office\n[[gateway]]\nhost = \"a\" # Prague\n"
    );
}

#[test]
fn inline_tables_are_edited_too() {
    let (_folder, path, loaded) = file("proxy = { port = 3129 }\n");
    set(&path, &loaded, "proxy.port", "3130").unwrap();
    let after = load(&Sources { file: path, ..Sources::default() }).unwrap();
    assert_eq!(after.config.proxy.port, 3130);
}

#[test]
fn what_is_wrong_changes_nothing() {
    let before = "[proxy]\nport = 3129\n";
    let (_folder, path, loaded) = file(before);
    for (key, value, message) in [
        ("proxy.prot", "1", "did you mean `proxy.port`?"),
        ("proxy.port", "x", "must be a port"),
        ("proxy.listen", "0.0.0.0", "proxy.allow_remote"),
    ] {
        let error = set(&path, &loaded, key, value).expect_err(key).to_string();
        assert!(error.contains(message), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}

#[test]
fn what_the_organisation_manages_cannot_be_changed() {
    let (folder, path, _) = file("");
    let policy = folder.path().join("policy.d");
    fs::create_dir(&policy).unwrap();
    fs::write(policy.join("p.toml"), "proxy.port = 1\n").unwrap();
    let sources = Sources { file: path.clone(), policy_dir: Some(policy), ..Sources::default() };
    let loaded = load(&sources).unwrap();
    let error = set(&path, &loaded, "proxy.port", "2").expect_err("locked").to_string();
    assert!(error.contains("managed by your organisation"), "{error}");
}

#[test]
fn a_crash_between_the_writes_leaves_the_old_file_and_does_no_later_harm() {
    let (_folder, path, loaded) = file("[proxy]\nport = 3129\n");
    // As a crash before the rename leaves it: half a file under the temporary name.
    fs::write(temporary(&path), "[proxy]\npo").unwrap();
    let now = load(&Sources { file: path.clone(), ..Sources::default() }).unwrap();
    assert_eq!(now.config.proxy.port, 3129, "the old file is whole");
    set(&path, &loaded, "proxy.port", "3130").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "[proxy]\nport = 3130\n");
    assert!(!temporary(&path).exists(), "what the crash left is gone");
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_and_a_link_stays_a_link() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, path, loaded) = file("");
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    set(&link, &loaded, "proxy.port", "3130").unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), "[proxy]\nport = 3130\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_missing_file_and_its_folder_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deeper/config.toml");
    let loaded = load(&Sources { file: path.clone(), ..Sources::default() }).unwrap();
    set(&path, &loaded, "gateway", "gw.example.com").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "gateway = \"gw.example.com\"\n");
}

/// Two threads edit different settings many times: no change is lost.
#[test]
fn editors_take_turns() {
    let (_folder, path, loaded) = file("");
    std::thread::scope(|scope| {
        for (key, unit) in
            [("channel.wait", "s"), ("channel.drain", "s"), ("channel.keepalive", "s")]
        {
            let (path, loaded) = (&path, &loaded);
            scope.spawn(move || {
                for n in 5..15 {
                    set(path, loaded, key, &format!("{n}{unit}")).unwrap();
                }
            });
        }
    });
    let config = load(&Sources { file: path, ..Sources::default() }).unwrap().config.channel;
    assert_eq!([config.wait, config.drain, config.keepalive].map(|d| d.as_secs()), [14; 3]);
}
