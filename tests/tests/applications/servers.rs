//! The servers behind the gateway.

use std::fs;
use std::path::Path;
use std::process::Command;

use seacat_tests::{
    Apache, Host, Nginx, Origin, Process, clean_command, free_port, node_modules, program_file,
    scratch, succeed,
};

/// All of them. They end with this value.
pub(crate) struct Servers {
    nginx: Nginx,
    apache: Apache,
    origin: Origin,
    others: Vec<(Host, Process)>,
    _dir: tempfile::TempDir,
}

impl Servers {
    /// Starts them and waits until each accepts connections.
    pub(crate) fn start() -> Self {
        let dir = scratch();
        let home = dir.path();
        let nginx = Nginx::start();
        let mut sites = clean_command("sh", home);
        sites.arg(program_file("package_sites.sh")).arg(nginx.site()).arg("http://web.seacat");
        succeed(&mut sites);
        let apache = Apache::start();
        fs::write(apache.site().join("four-megabytes"), vec![7; 4 << 20]).unwrap();
        git(&apache, home);
        documents(&nginx.site());
        documents(&apache.site());

        let files = folder(home, "files");
        fs::write(files.join("report.txt"), "a report\n").unwrap();
        let repository = folder(home, "repository");
        succeed(clean_command("hg", &repository).arg("init"));

        let python = |name| {
            let mut command = clean_command("/usr/bin/python3", home);
            command.arg(program_file(name));
            command
        };
        let node = |name| {
            let mut command = clean_command("node", home);
            command.arg(program_file(name)).env("NODE_PATH", node_modules());
            command
        };
        let others = vec![
            serve("tornado", home, python("tornado_server.py"), |port| vec![port]),
            serve("chat", home, node("socketio_server.cjs"), |port| vec![port]),
            serve("node", home, node("node_server.cjs"), |port| vec![port]),
            serve("python", &files, clean_command("/usr/bin/python3", &files), |port| {
                words(&["-m", "http.server", "--bind", "127.0.0.1", &port])
            }),
            serve("rclone", home, clean_command("rclone", home), |port| {
                words(&["serve", "webdav", "--addr", &format!("127.0.0.1:{port}"), "files"])
            }),
            serve("hg", &repository, clean_command("hg", &repository), |port| {
                let open = ["--config", "web.push_ssl=No", "--config", "web.allow_push=*"];
                words(&[&["serve", "-a", "127.0.0.1", "-p", &port], &open[..]].concat())
            }),
        ];
        Self { nginx, apache, origin: Origin::start(), others, _dir: dir }
    }

    /// The names by which the gateway serves them.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        let host = |name, port| Host { name, port, tunnel: false };
        let mut hosts = vec![
            host("web", self.nginx.port()),
            host("apache", self.apache.port()),
            host("origin", self.origin.port()),
        ];
        hosts.extend(self.others.iter().map(|(host, _)| *host));
        hosts
    }

    /// Every request that nginx, Apache and our own origin have seen so far.
    pub(crate) fn journal(&self) -> String {
        let seen = self.origin.take_seen();
        let heads = seen.iter().flat_map(|seen| seen.head.lines().map(str::to_owned));
        let lines: Vec<String> =
            self.nginx.requests().into_iter().chain(self.apache.requests()).chain(heads).collect();
        lines.join("\n")
    }
}

/// Starts one in `dir`, with the arguments that it takes its port by.
fn serve(
    name: &'static str,
    dir: &Path,
    mut command: Command,
    arguments: impl Fn(String) -> Vec<String>,
) -> (Host, Process) {
    let port = free_port();
    command.args(arguments(port.to_string()));
    let mut process = Process::start(name, dir, &command);
    process.wait_for_port(port);
    (Host { name, port, tunnel: true }, process)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn folder(home: &Path, name: &str) -> std::path::PathBuf {
    let folder = home.join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

/// A folder with a page that leads to a folder in it, without the slash: the server redirects.
fn documents(site: &Path) {
    fs::create_dir_all(site.join("docs/deep")).unwrap();
    let index = "<a href=\"deep\">the documents</a>\n";
    fs::write(site.join("docs/index.html"), index).unwrap();
    fs::write(site.join("docs/deep/index.html"), "a page\n").unwrap();
}

/// An empty repository with anonymous push.
fn git(apache: &Apache, home: &Path) {
    let bare = apache.repositories().join("project.git");
    succeed(clean_command("git", home).args(["init", "-q", "--bare", "-b", "main"]).arg(&bare));
    let git = |name, value| {
        succeed(clean_command("git", home).arg("-C").arg(&bare).args(["config", name, value]))
    };
    git("http.receivepack", "true");
    apache.hand_over();
}
