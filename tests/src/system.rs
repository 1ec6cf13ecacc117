//! A clean minimal Debian of a test's own, in a folder: where packages are installed and used.
//!
//! Commands run in it by chroot. Root does that directly; other users through a user namespace with
//! the ids of /etc/subuid, so that the suite asks for no privilege.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{clean_command, program_output, scratch, target_folder};

/// Beside the essential packages and apt: a client, which brings OpenSSL's library along.
const INCLUDED: &str = "--include=curl";

/// What changes with every use of apt, dpkg and rpm.
const MEMORY: [&str; 5] =
    ["/var/log/", "/var/lib/dpkg/", "/var/lib/apt/", "/var/lib/rpm", "/var/cache/"];

/// Gives the command the devices and processes of the real system, and changes the root.
const ENTER: &str = r#"mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" &&
    exec chroot "$0" "$@""#;

/// The user of the system.
pub const USER: &str = "anna";

/// Its folder. It goes away with the value.
#[derive(Debug)]
pub struct System {
    folder: tempfile::TempDir,
}

impl System {
    /// A new one with a user. The first time on a machine its packages are downloaded.
    pub fn fresh() -> Self {
        let base = base();
        let system = Self { folder: scratch() };
        fs::create_dir(system.root()).unwrap();
        let mut unpack = outside("tar", system.folder.path());
        unpack.args(["--numeric-owner", "--exclude=./dev/*", "-xpf"]).arg(base);
        succeed(unpack.arg("-C").arg(system.root()));
        system.run(&["useradd", "--create-home", USER]);
        system
    }

    /// Its root, seen from outside.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A command in it, as its root.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = outside("sh", self.folder.path());
        command.args(["-c", ENTER]).arg(self.root()).args(words);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// A command in it, as its user. The kernel ends it when the test is gone.
    pub fn user_command(&self, words: &[&str]) -> Command {
        let home = format!("HOME=/home/{USER}");
        let mut all = vec!["setpriv", "--reuid", USER, "--regid", USER, "--init-groups"];
        all.extend(["--pdeathsig", "KILL", "--", "env", "--chdir", &home[5..], &home]);
        all.extend(words);
        self.command(&all)
    }

    /// Runs a command as root, which must end well; what it printed.
    pub fn run(&self, words: &[&str]) -> String {
        succeed(&mut self.command(words))
    }

    /// The same as the user.
    pub fn run_as_user(&self, words: &[&str]) -> String {
        succeed(&mut self.user_command(words))
    }

    /// Copies a package into the system; where it is there.
    pub fn bring(&self, package: &Path) -> String {
        let inside = format!("/tmp/{}", package.file_name().unwrap().to_str().unwrap());
        fs::copy(package, self.root().join(&inside[1..])).unwrap();
        inside
    }

    /// Installs a package as an administrator would. What was said about it.
    pub fn install(&self, package: &Path) -> String {
        let inside = self.bring(package);
        let said = self.run(&["apt-get", "-qq", "install", "--no-install-recommends", &inside]);
        self.run(&["rm", &inside]);
        said
    }

    /// Uses the real system's rpm on it, with packages of the real system.
    pub fn rpm(&self, words: &[&str], packages: &[&Path]) {
        let mut rpm = outside("rpm", self.folder.path());
        // Debian's rpm requires this option.
        rpm.args(["--force-debian", "--dbpath", "/var/lib/rpm", "--root"]).arg(self.root());
        rpm.args(words).args(packages);
        succeed(&mut rpm);
    }

    /// All files and folders, but for the log and for what apt, dpkg and rpm remember.
    pub fn files(&self) -> BTreeSet<String> {
        let found = self.run(&["find", "/", "-xdev"]);
        let forgotten = |path: &&str| !MEMORY.iter().any(|memory| path.starts_with(memory));
        found.lines().filter(forgotten).map(str::to_owned).collect()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Its files belong to several users.
        let _ = outside("rm", self.folder.path()).arg("-rf").arg(self.root()).status();
    }
}

/// A program of the real system that may do with the folder what root may.
fn outside(program: &str, home: &Path) -> Command {
    let mut command = clean_command("unshare", home);
    command.args(["--mount", "--fork"]);
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.args(["--map-root-user", "--map-auto"]);
    }
    command.arg("--").arg(program);
    command
}

/// The packed system that all are unpacked from, made when it is not there: the release of Debian on
/// which the packages were built.
fn base() -> PathBuf {
    let name = program_output(
        Command::new("sh").args(["-c", ". /etc/os-release; echo $VERSION_CODENAME"]),
    );
    let name = name.expect("the system has a name").trim().to_owned();
    let base = target_folder().join(format!("package/{name}.tar"));
    if !base.exists() {
        let begun = base.with_extension("begun.tar");
        // With apt's lists, so that it can say what a package would bring along.
        let mut make = Command::new("mmdebstrap");
        make.args(["--variant=minbase", INCLUDED, "--skip=cleanup/apt/lists"]);
        make.args(["--dpkgopt=force-unsafe-io", "--quiet", &name]).arg(&begun);
        succeed(&mut make);
        fs::rename(&begun, &base).unwrap();
    }
    base
}

/// Runs a command that must end well; what it printed.
///
/// # Panics
/// When it does not, with all it said.
pub fn succeed(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {}\n{said}{complaint}", done.status);
    said
}
