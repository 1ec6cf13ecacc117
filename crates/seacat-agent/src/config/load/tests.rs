use super::*;
use crate::config::with_native_paths;
use seacat_proxy::Action;
use tempfile::TempDir;

/// A folder with a user file and a policy folder.
struct Fixture {
    folder: TempDir,
    sources: Sources,
}

impl Fixture {
    fn new(file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, file).unwrap();
        let sources = Sources { file: path, ..Sources::default() };
        Self { folder, sources }
    }

    fn policy(mut self, name: &str, text: &str) -> Self {
        let folder = self.folder.path().join("policy.d");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), text).unwrap();
        self.sources.policy_dir = Some(folder);
        self
    }

    fn environment(mut self, name: &str, text: &str) -> Self {
        self.sources.environment.push((name.into(), text.into()));
        self
    }

    fn option(mut self, key: &'static str, text: &str) -> Self {
        self.sources.command_line.push((key, text.into(), "--option".into()));
        self
    }

    fn problems(&self) -> Vec<Problem> {
        load(&self.sources).expect_err("must be refused").0
    }
}

/// Every subset of the five sources: the highest that speaks wins, and the origin says which.
#[test]
fn precedence_matrix() {
    for present in 0..16_u8 {
        let has = |bit: u8| present & (1 << bit) != 0;
        let mut fixture = Fixture::new(if has(0) { "[proxy]\nport = 1001" } else { "" });
        if has(1) {
            fixture = fixture.environment("SEACAT_PROXY_PORT", "1002");
        }
        if has(2) {
            fixture = fixture.option("proxy.port", "1003");
        }
        if has(3) {
            fixture = fixture.policy("x.toml", "\nproxy.port = 1004");
        }
        let loaded = load(&fixture.sources).unwrap();
        let expected = (0..4).rev().find(|bit| has(*bit));
        let port = expected.map_or(3128, |bit| 1001 + u16::from(bit));
        assert_eq!(loaded.config.proxy.port, port, "sources {present:04b}");
        let origin = loaded.origin("proxy.port");
        let as_expected = match (expected, &origin) {
            (None, Origin::Default) => true,
            (Some(0), Origin::File { line: 2, .. }) => true,
            (Some(1), Origin::Environment(name)) => name == "SEACAT_PROXY_PORT",
            (Some(2), Origin::CommandLine(option)) => option == "--option",
            (Some(3), Origin::Policy { line: 2, .. }) => true,
            _ => false,
        };
        assert!(as_expected, "sources {present:04b}: {origin:?}");
        assert_eq!(origin.is_locked(), expected == Some(3));
    }
}

#[test]
fn a_later_policy_file_wins_and_other_files_are_ignored() {
    let fixture = Fixture::new("")
        .policy("10-base.toml", "log.level = \"warn\"\nproxy.port = 1")
        .policy("90-site.toml", "log.level = \"error\"")
        .policy("README.txt", "not toml at all [");
    let loaded = load(&fixture.sources).unwrap();
    assert_eq!(loaded.config.log.level.as_str(), "error");
    assert_eq!(loaded.config.proxy.port, 1);
    assert!(loaded.origin("log.level").to_string().contains("90-site.toml"));
}

#[test]
fn a_wrong_policy_is_not_ignored() {
    let fixture = Fixture::new("").policy("a.toml", "proxy.prot = 1");
    assert_eq!(fixture.problems().len(), 1);
}

/// Faulty files: what is said, and at which line and column.
#[test]
fn faults_name_place_and_remedy() {
    let table: &[(&str, usize, usize, &str)] = &[
        ("[proxy]\nprot = 3128", 2, 1, "unknown key `prot`; did you mean `port`?"),
        ("[porxy]\nport = 1", 1, 2, "unknown key `porxy`; did you mean `proxy`?"),
        ("\n[[gateways]]\nhost = \"a\"", 2, 3, "unknown key `gateways`; did you mean `gateway`?"),
        ("[[gateway]]\nhost = \"a\"\nprt = 1", 3, 1, "unknown key `prt`; did you mean `port`?"),
        ("[log]\nlevle = \"info\"", 2, 1, "did you mean `level`?"),
        (
            "zzz = 1",
            1,
            1,
            "known here: proxy, route, gateway, channel, upstream, identity, reverse, log, desktop",
        ),
        ("[proxy]\nport = \"3128\"", 2, 8, "must be a port number from 0 to 65535, not \"3128\""),
        ("[proxy]\nport = 70000", 2, 8, "not 70000"),
        ("[proxy]\nallow_remote = 1", 2, 16, "must be true or false, not 1"),
        ("[proxy]\nlisten = [\"127.0.0.1\", \"nope\"]", 2, 24, "\"nope\" is not an IP address"),
        ("[proxy]\nlisten = []", 2, 10, "at least one"),
        ("[proxy]\ncredentials_file = \"pw\"", 2, 20, "must be an absolute path"),
        ("[log]\nlevel = \"inf\"", 2, 9, "did you mean \"info\"?"),
        ("[channel]\nwait = \"10 parsecs\"", 2, 8, "must be a time"),
        ("[channel]\nwait = \"20min\"", 2, 8, "from 0ms to 10min"),
        ("[log]\nmax_total = \"1 MB\"", 2, 13, "must be a size"),
        ("[gateway]\nhost = \"a\"", 1, 2, "[[double]] brackets"),
        ("gateway = \"gw:99999\"", 1, 11, "does not end in a port"),
        ("[[gateway]]\nhost = \"https://gw\"", 2, 8, "is not a host name"),
        ("[[gateway]]\nhost = \"gw\"\npin = \"abc\"", 3, 7, "sha256/"),
        ("[[gateway]]\nhost = \"gw\"\ntls = \"old\"", 3, 7, "must be one of modern"),
        (
            "[[gateway]]\nhost = \"gw\"\nca_pem = \"-----BEGIN PRIVATE KEY-----\"",
            3,
            10,
            "holds a private key",
        ),
        ("[[route]]\npattern = \"*\"\nto = \"gatway\"", 3, 6, "did you mean \"gateway\"?"),
        ("[[reverse]]\nport = 22\ntarget = \"22\"", 3, 10, "must be HOST:PORT"),
        ("[[reverse]]\nport = 22", 2, 1, "needs a `target`"),
        ("proxy = 3", 1, 1, "must be a table: write [proxy]"),
        ("[proxy\nport = 1", 1, 7, ""),
        ("a = 1\na = 2", 2, 1, "duplicate"),
    ];
    for (text, line, column, message) in table {
        let fixture = Fixture::new(text);
        let problems = fixture.problems();
        let Place::File { line: l, column: c, .. } = &problems[0].place else {
            panic!("{text}: {:?}", problems[0]);
        };
        let said = &problems[0].message;
        assert_eq!((*l, *c), (*line, *column), "{text}: {said}");
        assert!(said.contains(message), "{text}: {said}");
    }
}

#[test]
fn every_fault_is_reported_not_only_the_first() {
    let fixture = Fixture::new("[proxy]\nport = 0.5\nlistn = 1\n[log]\nlevel = 3")
        .environment("SEACAT_PROXY_CHANNEL_WAIT", "soon");
    assert_eq!(fixture.problems().len(), 4);
}

#[test]
fn combinations_are_checked() {
    for (text, message) in [
        ("proxy.listen = [\"0.0.0.0\"]", "set proxy.allow_remote = true"),
        (
            "proxy.listen = [\"0.0.0.0\"]\nproxy.allow_remote = true",
            "requires proxy.credentials_file",
        ),
        ("proxy.map = \"192.0.2.1:80=erp\"", "serve this computer only"),
        (
            "gateway = [{ host = \"gw\", ca_pem = \"-----BEGIN CERTIFICATE-----\" }]",
            "the CA certificate cannot be used",
        ),
        (
            "reverse = [\"22=127.0.0.1:22\", \"22=127.0.0.1:23\"]",
            "reverse port 22 is configured twice",
        ),
        ("log.max_file = \"20MiB\"", "greater"),
        (
            "gateway = [{ host = \"gw\", ca_file = \"/a\", ca_pem = \"-----BEGIN CERTIFICATE-----\" }]",
            "keep one",
        ),
    ] {
        let problems = Fixture::new(&with_native_paths(text)).problems();
        assert!(problems[0].message.contains(message), "{text}: {}", problems[0]);
    }
}

#[test]
fn environment_values_are_typed() {
    let fixture = Fixture::new("")
        .environment("SEACAT_PROXY_LISTEN", "127.0.0.1,::1")
        .environment("SEACAT_PROXY_LOG_FILE", "false")
        .environment("SEACAT_PROXY_CHANNEL_WAIT", "3s")
        .environment("SEACAT_PROXY_LOG_LEVEL", "debug")
        .environment("SEACAT_PROXY_GATEWAY", "a:8443,b")
        .environment("SEACAT_PROXY_ROUTE", "[{ pattern = \"*.lan\", to = \"direct\" }]")
        .environment("SEACAT_PROXY_MAP", "8081=erp")
        .environment("SEACAT_PROXY_CONFIG", "/not/a/setting")
        .environment("HOME", "/home/x");
    let loaded = load(&fixture.sources).unwrap();
    let config = &loaded.config;
    assert!(!config.log.file);
    assert_eq!(config.channel.wait.as_secs(), 3);
    assert_eq!(config.log.level.as_str(), "debug");
    let gateways: Vec<_> = config.gateways.iter().map(|g| (g.host.as_str(), g.port)).collect();
    assert_eq!(gateways, [("a", 8443), ("b", 443)]);
    assert_eq!(config.routes[0].to, Action::Direct);
    assert_eq!(config.proxy.map[0].listen.to_string(), "127.0.0.1:8081");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn an_unknown_variable_is_a_warning_with_the_nearest_name() {
    let fixture = Fixture::new("").environment("SEACAT_PROXY_PROT", "1");
    let loaded = load(&fixture.sources).unwrap();
    let said = loaded.warnings[0].to_string();
    assert_eq!(
        said,
        "environment variable SEACAT_PROXY_PROT: is not a known setting; did you mean SEACAT_PROXY_PORT?"
    );
}

#[test]
fn wrong_text_names_its_variable_or_option() {
    let problems = Fixture::new("").environment("SEACAT_PROXY_PORT", "x").problems();
    assert!(
        problems[0].to_string().starts_with("environment variable SEACAT_PROXY_PORT: proxy.port")
    );
    let problems = Fixture::new("").option("proxy.port", "70000").problems();
    assert!(problems[0].to_string().starts_with("--option: proxy.port must be"), "{}", problems[0]);
}

#[test]
fn low_ports_are_accepted_with_the_measured_odds() {
    for (port, warned) in [(80, true), (1023, true), (443, false), (1024, false), (8443, false)] {
        let fixture = Fixture::new(&format!("gateway = \"gw:{port}\""));
        let loaded = load(&fixture.sources).unwrap();
        assert_eq!(!loaded.warnings.is_empty(), warned, "{port}");
        if warned {
            let said = loaded.warnings[0].to_string();
            for number in ["95 %", "86 %", "67 %"] {
                assert!(said.contains(number), "{said}");
            }
        }
    }
}

#[test]
fn a_missing_file_is_fine_unless_it_was_named() {
    let mut fixture = Fixture::new("");
    fixture.sources.file = fixture.folder.path().join("nothing.toml");
    assert!(load(&fixture.sources).is_ok());
    fixture.sources.file_is_named = true;
    assert!(fixture.problems()[0].to_string().contains("cannot be read"));
}
