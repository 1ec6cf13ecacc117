//! System packages: detection of missing ones and their installation.
//!
//! A need is detected by the thing itself (a program on the path, a Python module, a library), not
//! by a package's name: nginx from another source counts. So a second run does nothing, and on
//! systems with other package names the list still names what is missing.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::step::{check, shown};

/// One prerequisite.
pub(crate) struct Need {
    probe: Probe,
    /// Debian's package that brings it.
    package: &'static str,
    /// What for.
    why: &'static str,
}

enum Probe {
    Program(&'static str),
    /// A module of Debian's own Python: the only one its python3-… packages serve.
    SystemPython(&'static str),
    /// An extension of PHP.
    Php(&'static str),
    /// A library with its headers, as pkg-config calls it.
    Library(&'static str),
}

/// Debian's Python, by its full path: another one first on the path (pyenv, venv) has other
/// modules.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

pub(crate) const fn program(name: &'static str, package: &'static str, why: &'static str) -> Need {
    Need { probe: Probe::Program(name), package, why }
}

/// What building and running needs beside Rust.
pub(crate) const TO_RUN: &[Need] =
    &[program("cc", "gcc", "ring holds C and assembler"), PKG_CONFIG, OPENSSL];

/// What building the window needs beside Node.js.
pub(crate) const WEBKIT: Need = Need {
    probe: Probe::Library("webkit2gtk-4.1"),
    package: "libwebkit2gtk-4.1-dev",
    why: "displays the window's pages",
};

pub(crate) const PKG_CONFIG: Need = program("pkg-config", "pkg-config", "finds OpenSSL");
pub(crate) const OPENSSL: Need = Need {
    probe: Probe::Library("openssl"),
    package: "libssl-dev",
    why: "TLS with gateways of the reference era",
};

/// What `cargo xtask test` needs beside that.
pub(crate) const TO_TEST: &[Need] = &[
    program("cc", "gcc", "ring holds C and assembler"),
    PKG_CONFIG,
    OPENSSL,
    program("c++", "g++", "libFuzzer is written in C++"),
    WEBKIT,
    program("WebKitWebDriver", "webkit2gtk-driver", "drives the window"),
    program("chromium", "chromium", "displays the window's pages and hostile ones"),
    program("nginx", "nginx", "the origin behind the gateway"),
    program("curl", "curl", "a client"),
    program("wget", "wget", "a client"),
    program("git", "git", "a client"),
    program("java", "default-jdk-headless", "a client (HttpURLConnection)"),
    program(SYSTEM_PYTHON, "python3", "a client (urllib, WebSocket)"),
    Need {
        probe: Probe::SystemPython("websockets"),
        package: "python3-websockets",
        why: "a client and a server of WebSocket",
    },
    program("busybox", "busybox", "a client"),
    program("aria2c", "aria2", "a client"),
    program("lynx", "lynx", "a client"),
    program("w3m", "w3m", "a client"),
    program("lftp", "lftp", "a client"),
    program("lwp-request", "libwww-perl", "a client"),
    program("php", "php-cli", "a client"),
    Need { probe: Probe::Php("curl"), package: "php-curl", why: "a client" },
    program("mono", "mono-runtime", "a client (HttpWebRequest)"),
    program("mcs", "mono-mcs", "compiles it"),
    program("/usr/lib/mono/4.5/System.dll", "libmono-system4.0-cil", "its library"),
    program("mvn", "maven", "a client"),
    program("svn", "subversion", "a client"),
    program("hg", "mercurial", "a client and a server"),
    program("rclone", "rclone", "a client and a server of WebDAV"),
    program("dpkg-scanpackages", "dpkg-dev", "lists packages for apt"),
    // Not "apache2", which would start a server at every boot.
    program("apache2", "apache2-bin", "a back end: WebDAV, git"),
    program(
        "/usr/lib/apache2/modules/mod_dav_svn.so",
        "libapache2-mod-svn",
        "a back end: Subversion",
    ),
    program(
        "/usr/lib/apache2/modules/mod_auth_gssapi.so",
        "libapache2-mod-auth-gssapi",
        "a back end: Kerberos",
    ),
    program("krb5kdc", "krb5-kdc", "a Kerberos realm of the test's own"),
    program("kadmin.local", "krb5-admin-server", "its users"),
    program("kinit", "krb5-user", "logs them in"),
    Need {
        probe: Probe::SystemPython("tornado"),
        package: "python3-tornado",
        why: "a back end: WebSocket",
    },
    Need {
        probe: Probe::SystemPython("ensurepip"),
        package: "python3-venv",
        why: "a folder for PyPI's packages",
    },
    program("openssl", "openssl", "a certificate for the HTTPS origin"),
    program("gnome-keyring-daemon", "gnome-keyring", "stores the private key"),
    program("dbus-daemon", "dbus", "a session bus of the tests' own"),
    program("dbus-send", "dbus", "queries the bus"),
    program("secret-tool", "libsecret-tools", "looks into the keyring"),
    program("keytool", "default-jdk-headless", "writes key files that are imported"),
    program("script", "bsdutils", "a terminal for questions and passwords"),
    program("tshark", "tshark", "dissects what went over the wire"),
    program("dumpcap", "tshark", "captures network traffic"),
    program("knotd", "knot", "the name server that announces gateways"),
    program("pg_ctlcluster", "postgresql", "the database that two gateways share"),
    program("squid", "squid", "an upstream proxy with Basic authentication"),
    program("nft", "nftables", "what a router does there"),
    program("setpriv", "util-linux", "no process outlives its test"),
    program("valgrind", "valgrind", "counts instructions"),
    program("unshare", "util-linux", "a network of the test's own"),
    program("ip", "iproute2", "interfaces, routes, namespaces"),
    program("faketime", "faketime", "a wrong clock"),
    program("Xvfb", "xvfb", "a display of the test's own"),
    program("dbus-daemon", "dbus-daemon", "a session bus of the test's own"),
    program("openbox", "openbox", "a window manager"),
    program("xfce4-panel", "xfce4-panel", "a host for tray icons"),
    program("xfconf-query", "xfconf", "the panel's settings"),
    program("xprop", "x11-utils", "detects the window manager"),
    program("xclip", "xclip", "reads the clipboard"),
    program("xdotool", "xdotool", "moves the mouse"),
    Need {
        probe: Probe::Program("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
        package: "fonts-dejavu-core",
        why: "letters on the pictures",
    },
    program("import", "imagemagick", "takes pictures of the screen"),
    program(
        "desktop-file-validate",
        "desktop-file-utils",
        "checks the entry for starting at login",
    ),
    program("dpkg-deb", "dpkg", "packs, and looks into packages"),
    program("dpkg-shlibdeps", "dpkg-dev", "finds the packages that bring our libraries"),
    program("rpmbuild", "rpm", "packs"),
    program("mmdebstrap", "mmdebstrap", "a clean system to install packages in"),
    program("newuidmap", "uidmap", "lets others than root enter it"),
    program("makensis", "nsis", "compiles the installer for Windows"),
    program("lintian", "lintian", "examines packages"),
    program("appstreamcli", "appstream", "checks what software centres read"),
    program("mandoc", "mandoc", "checks manual pages"),
    program("systemd-analyze", "systemd", "checks the user unit"),
    program("fish", "fish", "completes commands"),
    program("zsh", "zsh", "completes commands"),
];

/// What `cargo xtask test windows` needs beside that.
pub(crate) const TO_TEST_WINDOWS: &[Need] = &[
    program("/usr/bin/rustc", "rustc-web", "compiles for Windows"),
    program(
        "/usr/lib/rustlib/src/rust/library/Cargo.lock",
        "rust-web-src",
        "the standard library's source",
    ),
    program("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32", "links programs for Windows"),
    program("wine", "wine", "runs them"),
    program("/usr/lib/wine/wine64", "wine64", "runs those of 64 bits"),
    program("makensis", "nsis", "makes the installer"),
];

/// What building OpenSSL from source needs beside that.
pub(crate) const TO_BUILD_OPENSSL: &[Need] =
    &[program("perl", "perl", "configures OpenSSL"), program("make", "make", "builds OpenSSL")];

impl Need {
    fn is_met(&self) -> bool {
        match self.probe {
            Probe::Program(name) => find(name),
            Probe::SystemPython(module) => {
                succeeds(SYSTEM_PYTHON, &["-c", &format!("import {module}")])
            }
            Probe::Php(name) => succeeds("php", &["--ri", name]),
            Probe::Library(name) => succeeds("pkg-config", &["--exists", name]),
        }
    }

    fn name(&self) -> &'static str {
        match self.probe {
            Probe::Program(name)
            | Probe::SystemPython(name)
            | Probe::Php(name)
            | Probe::Library(name) => name,
        }
    }
}

/// Does a program start and end with success? What it prints is dropped.
fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether a program is found. Debian installs servers in sbin, which may not be on the path.
fn find(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = std::env::split_paths(&path).collect();
    places.extend(["/usr/sbin".into(), "/sbin".into()]);
    let names = [program.to_owned(), format!("{program}{}", std::env::consts::EXE_SUFFIX)];
    places.iter().any(|place| names.iter().any(|name| place.join(name).is_file()))
}

/// Makes sure that all of `needs` are there.
///
/// On Debian and its children the missing ones are installed (with sudo when we are not root; after
/// confirmation on a terminal); elsewhere they are listed.
pub(crate) fn install(needs: &[Need]) -> Outcome {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        println!("nothing is missing");
        return Ok(());
    }
    println!("missing on this machine:");
    for need in &missing {
        println!("  {:12} {}", need.name(), need.why);
    }
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    if !find("apt-get") {
        return Err(format!(
            "please install what is missing; on Debian the packages are called: {}",
            packages.join(" ")
        ));
    }
    let root = is_root();
    let mut update = apt(root, &["update"]);
    let mut install = apt(root, &["install", "-y", "--no-install-recommends"]);
    install.args(&packages);
    allow(root, &format!("{} && {}", shown(&update), shown(&install)))?;
    check(&mut update)?;
    check(&mut install)?;
    match missing.iter().find(|need| !need.is_met()) {
        None => Ok(()),
        Some(need) => {
            Err(format!("{} is installed but {} is not there", need.package, need.name()))
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

/// apt-get that waits for another one to finish, and asks no questions of its own.
fn apt(root: bool, arguments: &[&str]) -> Command {
    let mut words = vec!["env", "DEBIAN_FRONTEND=noninteractive"];
    words.extend(["apt-get", "-o", "DPkg::Lock::Timeout=300"]);
    words.extend(arguments);
    if !root {
        words.insert(0, "sudo");
    }
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// Root is not asked for confirmation; other users are, on a terminal.
fn allow(root: bool, what: &str) -> Outcome {
    if root {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!("please run this first:\n  {what}"));
    }
    print!("\ninstall with:\n  {what}\nnow? [Y/n] ");
    let mut answer = String::new();
    let asked = std::io::stdout().flush().and_then(|()| std::io::stdin().read_line(&mut answer));
    asked.map_err(|error| format!("cannot ask: {error}"))?;
    match answer.trim() {
        "" | "y" | "Y" | "yes" => Ok(()),
        _ => Err("nothing was installed".to_owned()),
    }
}
