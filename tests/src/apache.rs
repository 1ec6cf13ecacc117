//! Apache httpd as a back end: files, WebDAV, Subversion, git's http-backend.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{clean_command, free_port, scratch};
use crate::process::Process;
use crate::system::succeed;

/// Where Debian puts its modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// The user that Debian runs it as.
const USER: &str = "www-data";

/// A running Apache. Its paths are
///
/// | path | what |
/// |---|---|
/// | `/…` | the files of [`Apache::site`] |
/// | `/dav/…` | a WebDAV folder |
/// | `/svn/…` | an empty Subversion repository |
/// | `/git/NAME/…` | the bare repositories in [`Apache::repositories`] |
#[derive(Debug)]
pub struct Apache {
    // Before `dir`: the process ends before its folder is removed.
    _process: Process,
    dir: tempfile::TempDir,
    port: u16,
}

impl Apache {
    /// Starts it and waits until it accepts connections.
    pub fn start() -> Self {
        Self::start_with("", &[])
    }

    /// The same with `more` at the end of its configuration, and more in its environment.
    pub fn start_with(more: &str, environment: &[(&str, &Path)]) -> Self {
        let dir = scratch();
        let port = free_port();
        for folder in ["site", "dav", "git", "run"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        succeed(clean_command("svnadmin", dir.path()).args(["create", "svn"]));
        let text = configuration(dir.path(), port) + more;
        fs::write(dir.path().join("httpd.conf"), text).unwrap();
        hand_over(dir.path());
        let mut command = contained(dir.path());
        command.args(["apache2", "-DFOREGROUND", "-f"]).arg(dir.path().join("httpd.conf"));
        command.envs(environment.iter().copied());
        let mut process = Process::start("apache", dir.path(), &command);
        process.wait_for_port(port);
        Self { _process: process, dir, port }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are: `site/x` is `/x`.
    pub fn site(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    /// Where the git repositories are: `git/x` is `/git/x`.
    pub fn repositories(&self) -> PathBuf {
        self.dir.path().join("git")
    }

    /// Gives everything in its folder to the user it runs as.
    pub fn hand_over(&self) {
        hand_over(self.dir.path());
    }

    /// What it has logged of requests, one line each: `METHOD URI STATUS HOST USER`.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("requests.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Root's Apache changes to another user, who has to read and write here.
fn hand_over(dir: &Path) {
    if is_root() {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        succeed(Command::new("chown").arg("-R").arg(USER).arg(dir));
    }
}

/// Starts a program in a process namespace of its own: its children end with it, however it ends.
fn contained(dir: &Path) -> Command {
    let mut command = clean_command("unshare", dir);
    if !is_root() {
        command.args(["--user", "--map-current-user"]);
    }
    command.args(["--pid", "--fork", "--kill-child", "--"]);
    command
}

fn configuration(dir: &Path, port: u16) -> String {
    let modules: String = [
        "mpm_event",
        "authn_core",
        "authz_core",
        "authz_user",
        "env",
        "mime",
        "dir",
        "autoindex",
        "alias",
        "cgid",
        "dav",
        "dav_fs",
        "dav_svn",
    ]
    .map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"))
    .concat();
    let dir = dir.display();
    format!(
        r#"{modules}
ServerRoot {dir}
ServerName localhost
Listen 127.0.0.1:{port}
User {USER}
Group {USER}
PidFile {dir}/run/pid
ScriptSock {dir}/run/cgid
DavLockDB {dir}/run/locks
ErrorLog /dev/stderr
LogFormat "%m %U%q %>s %{{Host}}i %u" short
CustomLog {dir}/requests.log short
TypesConfig /dev/null
DocumentRoot {dir}/site
Alias /dav {dir}/dav
<Directory {dir}/dav>
    Dav On
</Directory>
<Location /svn>
    DAV svn
    SVNPath {dir}/svn
</Location>
ScriptAlias /git /usr/lib/git-core/git-http-backend
SetEnv GIT_PROJECT_ROOT {dir}/git
SetEnv GIT_HTTP_EXPORT_ALL
"#
    )
}
