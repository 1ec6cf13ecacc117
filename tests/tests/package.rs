//! The packages: installed into clean systems, used, upgraded, removed, and examined by Debian's own
//! tools. `cargo xtask test package` makes them, this version and an older one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use seacat_tests::{Process, System, USER, free_port, scratch, succeed, target_folder};

/// As xtask calls the package from which an upgrade is made.
const OLDER: &str = "0.0.1";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an administrator puts there.
const POLICY: &str = "/etc/seacat-proxy/policy.d/10-fleet.toml";

/// For what takes seconds, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// The package of a version, as `cargo xtask package` names it.
fn deb(name: &str, version: &str) -> PathBuf {
    packed(&format!("{name}_{version}-1_"), ".deb")
}

fn rpm(name: &str, version: &str) -> PathBuf {
    packed(&format!("{name}-{version}-1."), ".rpm")
}

/// The package whose file's name begins and ends so; between them is the processor.
fn packed(begin: &str, end: &str) -> PathBuf {
    let folder = target_folder().join("package");
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(begin) && name.ends_with(end)
    };
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let found = entries.map(|entry| entry.unwrap().path()).find(named);
    found.unwrap_or_else(|| {
        panic!("{begin}…{end} is not there; `cargo xtask test package` makes it")
    })
}

/// The proxy of the system's user, in the foreground.
struct Running {
    process: Process,
    port: u16,
}

impl Running {
    fn start(system: &System, port: u16) -> Self {
        let command = system.user_command(&["seacat-proxy", "run", "--demo"]);
        let mut process = Process::start("seacat-proxy", system.root().parent().unwrap(), &command);
        process.wait_for_port(port);
        Self { process, port }
    }

    /// A request by the system's curl through the proxy and its built-in gateway.
    fn request(&self, system: &System) {
        let proxy = format!("http://127.0.0.1:{}", self.port);
        let said = system.run_as_user(&["curl", "-fsS", "-x", &proxy, "http://hello.seacat/"]);
        assert!(said.contains("SeaCat"), "{said}");
    }

    fn stop(mut self, system: &System) {
        system.run_as_user(&["seacat-proxy", "stop"]);
        let status = self.process.wait_to_end(PATIENCE);
        assert!(status.success(), "{status}: {}", self.process.log());
    }
}

fn setting(system: &System, key: &str) -> String {
    let shown = system.run_as_user(&["seacat-proxy", "config", "show"]);
    let line = shown.lines().find(|line| line.trim_start().starts_with(key));
    line.unwrap_or_else(|| panic!("no {key} in {shown}")).to_owned()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What is in `after` and was not `before`.
fn new_in(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    after.difference(before).cloned().collect()
}

#[test]
fn installed_used_upgraded_and_purged() {
    let system = System::fresh();
    let before = system.files();

    println!("{}", system.install(&deb("seacat-proxy", OLDER)));
    let port = free_port();
    system.run_as_user(&["seacat-proxy", "config", "set", "proxy.port", &port.to_string()]);
    let running = Running::start(&system, port);
    running.request(&system);

    // Upgraded while it runs: the running process continues and accepts commands of the new command
    // line.
    println!("{}", system.install(&deb("seacat-proxy", VERSION)));
    let status = ["dpkg-query", "--show", "--showformat=${Version} ${Status}", "seacat-proxy"];
    assert_eq!(system.run(&status), format!("{VERSION}-1 install ok installed"));
    running.request(&system);
    running.stop(&system);

    let kept = setting(&system, "proxy.port");
    println!("{kept}");
    assert!(kept.contains(&port.to_string()), "{kept}");
    let running = Running::start(&system, port);
    running.request(&system);
    running.stop(&system);
    system.run(&["dpkg", "--verify", "seacat-proxy"]);

    // What the organisation says is the organisation's, and outlives the package.
    fs::write(system.root().join(&POLICY[1..]), "[log]\nlevel = \"warn\"\n").unwrap();
    let managed = setting(&system, "log.level");
    println!("{managed}");
    assert!(managed.contains("warn") && managed.contains(POLICY), "{managed}");
    let mut refused = system.user_command(&["seacat-proxy", "config", "set", "log.level", "info"]);
    let refused = refused.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("managed by your organisation"), "{said}");

    system.run(&["apt-get", "purge", "-y", "seacat-proxy"]);
    let left = new_in(&before, &system.files());
    println!("left after the purge:\n  {}", left.join("\n  "));
    assert_eq!(new_in(&system.files(), &before), [""; 0], "nothing of the system's is gone");
    let home = format!("/home/{USER}/");
    for path in left {
        assert!(path.starts_with(&home) || POLICY.starts_with(&path), "{path} is left");
    }
}

#[test]
fn installed_by_rpm_upgraded_and_erased() {
    let package = rpm("seacat-proxy", VERSION);
    let query = |what: &[&str]| succeed(Command::new("rpm").args(what).arg(&package));
    println!("{}", query(&["-qip"]));
    let listed: BTreeSet<String> = query(&["-qlp"]).lines().map(str::to_owned).collect();
    for path in ["/usr/bin/seacat-proxy", "/usr/bin/seacat-gateway", "/etc/seacat-proxy/policy.d"] {
        assert!(listed.contains(path), "{path} is not in {listed:?}");
    }
    let requires = query(&["-qp", "--requires"]);
    assert!(requires.contains("libssl.so.3"), "{requires}");
    assert!(!requires.contains("webkit"), "{requires}");

    // Debian's libraries under it, which rpm knows nothing of.
    let system = System::fresh();
    let before = system.files();
    system.rpm(&["--install", "--nodeps"], &[&rpm("seacat-proxy", OLDER)]);
    let port = free_port();
    system.run_as_user(&["seacat-proxy", "config", "set", "proxy.port", &port.to_string()]);
    system.rpm(&["--upgrade", "--nodeps"], &[&package]);
    let running = Running::start(&system, port);
    running.request(&system);
    running.stop(&system);
    system.rpm(&["--erase", "seacat-proxy"], &[]);
    let left = new_in(&before, &system.files());
    let home = format!("/home/{USER}/");
    for path in left {
        // Folders that several packages share are owned by packages that only rpm's systems have.
        let shared = !path.contains("seacat") && system.root().join(&path[1..]).is_dir();
        assert!(path.starts_with(&home) || shared, "{path} is left");
    }
}

/// Debian's own checks, and those of the desktop, man, systemd and three shells.
#[test]
fn files_are_as_their_readers_want_them() {
    let (package, window) = (deb("seacat-proxy", VERSION), deb("seacat-proxy-window", VERSION));
    let mut lintian = Command::new("lintian");
    let said = succeed(lintian.args(["--fail-on", "error"]).args([&package, &window]));
    println!("lintian: {}", if said.is_empty() { "nothing to say" } else { &said });

    let folder = scratch();
    let root = folder.path();
    for package in [&package, &window] {
        succeed(Command::new("dpkg-deb").arg("--extract").arg(package).arg(root));
    }
    let run = |program: &str, words: &[&str]| {
        succeed(Command::new(program).args(words).current_dir(root))
    };
    run("desktop-file-validate", &["usr/share/applications/seacat-proxy.desktop"]);
    let metainfo = "usr/share/metainfo/io.seacat.proxy.metainfo.xml";
    println!("{}", run("appstreamcli", &["validate", "--no-net", metainfo]));

    let pages = files_in(&root.join("usr/share/man/man1"));
    for page in &pages {
        run("mandoc", &["-T", "lint", "-W", "error", page.to_str().unwrap()]);
    }
    println!("{} manual pages", pages.len());

    // The program is not installed on this machine, and systemd looks for it.
    let unit = fs::read_to_string(root.join("usr/lib/systemd/user/seacat-proxy.service")).unwrap();
    let started = format!("ExecStart={}/usr/", root.display());
    let unit = unit.replace("ExecStart=/usr/", &started);
    fs::write(root.join("seacat-proxy.service"), unit).unwrap();
    run("systemd-analyze", &["verify", "--man=no", "./seacat-proxy.service"]);
}

/// A computer without a screen gets no WebKit, and a window never meets another version's proxy.
/// What apt would install is seen without installing it.
#[test]
fn the_window_is_apart() {
    let system = System::fresh();
    let would = |packages: &[&Path]| {
        let inside: Vec<String> = packages.iter().map(|package| system.bring(package)).collect();
        let mut words = vec!["apt-get", "install", "--simulate", "--no-install-recommends"];
        words.extend(inside.iter().map(String::as_str));
        let done = system.command(&words).output().unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        let packages: Vec<String> = said
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
            .map(str::to_owned)
            .collect();
        done.status.success().then_some(packages).ok_or(said)
    };
    let (proxy, window) = (deb("seacat-proxy", VERSION), deb("seacat-proxy-window", VERSION));
    assert_eq!(would(&[&proxy]).unwrap(), ["seacat-proxy"]);
    let both = would(&[&proxy, &window]).unwrap();
    println!("with the window {} packages are installed", both.len());
    assert!(both.contains(&"libwebkit2gtk-4.1-0".to_owned()), "{both:?}");
    let refused = would(&[&deb("seacat-proxy", OLDER), &window]).expect_err("two versions");
    assert!(refused.contains(&format!("seacat-proxy (= {VERSION}-1)")), "{refused}");

    let package = rpm("seacat-proxy-window", VERSION);
    let requires = succeed(Command::new("rpm").args(["-qp", "--requires"]).arg(&package));
    for library in ["seacat-proxy(", "libwebkit2gtk-4.1.so.0"] {
        assert!(requires.contains(library), "{library} is not in {requires}");
    }
}

/// `cargo xtask test windows` runs the installer; a script that does not compile is noticed here as well.
#[test]
fn the_script_for_windows_compiles() {
    let folder = scratch();
    let root = folder.path();
    let programs =
        ["seacat-proxy.exe", "seacat-gateway.exe", "seacat-proxy-window.exe", "WebView2Loader.dll"];
    for name in programs {
        fs::write(root.join(name), "a stand-in").unwrap();
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../installers/windows");
    fs::copy(sources.join("seacat-proxy.nsi"), root.join("seacat-proxy.nsi")).unwrap();
    let version = format!("-DVERSION={VERSION}");
    for kind in ["-DQUICK", "-DWINDOW"] {
        let mut make = Command::new("makensis");
        make.args(["-V2", "-WX", &version, "-DPROGRAMS=.", kind, "seacat-proxy.nsi"]);
        succeed(make.current_dir(root));
        assert!(root.join(format!("seacat-proxy-{VERSION}-setup.exe")).is_file());
    }
}

#[test]
fn shells_complete_commands() {
    let folder = scratch();
    let root = folder.path();
    let package = deb("seacat-proxy", VERSION);
    succeed(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(root));
    for (program, begun, whole) in
        [("seacat-proxy", "stat", "status"), ("seacat-gateway", "appr", "approve")]
    {
        let function = format!("_{}", program.replace('-', "__"));
        let bash = format!(
            "source usr/share/bash-completion/completions/{program}
             complete -p {program} >&2
             COMP_WORDS=({program} {begun}); COMP_CWORD=1
             {function} {program} {begun} {program}; echo ${{COMPREPLY[@]}}"
        );
        let fish = format!(
            "source usr/share/fish/vendor_completions.d/{program}.fish
             complete --do-complete '{program} {begun}' | cut -f 1"
        );
        // Without a terminal zsh completes nothing; that it finds, knows and loads the script is seen.
        let zsh = format!(
            "fpath=(usr/share/zsh/vendor-completions $fpath)
             autoload -Uz compinit && compinit -u -D && autoload -Uz +X $_comps[{program}] &&
             functions $_comps[{program}] | grep -o {whole} | head -1"
        );
        for (shell, options, script) in
            [("bash", "--norc", bash), ("fish", "--no-config", fish), ("zsh", "-f", zsh)]
        {
            let mut command = Command::new(shell);
            command.args([options, "-c", &script]).current_dir(root).env("HOME", root);
            assert_eq!(succeed(&mut command).trim(), whole, "{shell}");
        }
    }
}
