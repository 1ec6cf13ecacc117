//! The files of a package as they will lie on the computer that installs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Goods, Release, empty, failed, files_in, fill, notices, output};
use crate::Outcome;
use crate::step::{check, root};

/// Everybody may read it.
pub(super) const FILE: u32 = 0o644;
/// Everybody may run it, or look into it.
pub(super) const PROGRAM: u32 = 0o755;

/// The programs of the package `seacat-proxy`, all with pages and scripts to complete their commands.
const PROGRAMS: [&str; 2] = ["seacat-proxy", "seacat-gateway"];

/// The root of one package.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty one.
    pub(super) fn new(root: PathBuf) -> Result<Self, String> {
        empty(&root)?;
        let tree = Self { root };
        // Independent of the umask.
        tree.folder("")?;
        Ok(tree)
    }

    /// Where `at` lies now.
    pub(super) fn path(&self, at: &str) -> PathBuf {
        self.root.join(at)
    }

    /// Makes a folder, and those above it.
    pub(super) fn folder(&self, at: &str) -> Result<PathBuf, String> {
        let mut path = self.root.clone();
        for part in std::iter::once("").chain(at.split('/')) {
            path.push(part);
            fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
            allow(&path, PROGRAM)?;
        }
        Ok(path)
    }

    /// Writes a file.
    pub(super) fn write(&self, at: &str, text: impl AsRef<[u8]>, mode: u32) -> Outcome {
        let (folder, _) = at.rsplit_once('/').unwrap_or_default();
        self.folder(folder)?;
        let path = self.path(at);
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
        allow(&path, mode)
    }

    /// Writes `AT.gz`, the same whenever it is written.
    pub(super) fn gzip(&self, at: &str, text: impl AsRef<[u8]>) -> Outcome {
        self.write(at, text, FILE)?;
        gzip(&[self.path(at)])
    }

    /// All of its programs.
    pub(super) fn programs(&self) -> Result<Vec<PathBuf>, String> {
        files_in(&self.path("usr/bin"))
    }

    /// Takes a file of the repository.
    fn take(&self, from: &str, at: &str) -> Outcome {
        let from = root().join(from);
        let text = fs::read(&from).map_err(|error| failed(&from, error))?;
        self.write(at, text, FILE)
    }

    /// Takes a program, without its symbols.
    fn program(&self, programs: &Path, name: &str) -> Outcome {
        let at = self.folder("usr/bin")?.join(name);
        check(Command::new("strip").arg("-o").arg(&at).arg(programs.join(name)))?;
        allow(&at, PROGRAM)
    }
}

/// Lays out the package `seacat-proxy`. `zsh` is where that shell looks for completions, about which
/// systems differ.
pub(super) fn proxy(tree: &Tree, goods: &Goods, release: &Release, zsh: &str) -> Outcome {
    let man = tree.folder("usr/share/man/man1")?;
    for name in PROGRAMS {
        tree.program(&goods.programs, name)?;
        let built = goods.programs.join(name);
        check(Command::new(&built).arg("man").arg(&man))?;
        let script = |shell| output(Command::new(&built).args(["completions", shell]));
        let bash = format!("usr/share/bash-completion/completions/{name}");
        tree.write(&bash, script("bash")?, FILE)?;
        tree.write(&format!("{zsh}/_{name}"), script("zsh")?, FILE)?;
        let fish = format!("usr/share/fish/vendor_completions.d/{name}.fish");
        tree.write(&fish, script("fish")?, FILE)?;
    }
    gzip(&files_in(&man)?)?;
    icons(tree)?;
    let linux = |file: &str| format!("installers/linux/{file}");
    tree.take(&linux("seacat-proxy.desktop"), "usr/share/applications/seacat-proxy.desktop")?;
    tree.take(&linux("seacat-proxy.service"), "usr/lib/systemd/user/seacat-proxy.service")?;
    let values = [("VERSION", release.version.as_str()), ("DATE", &release.date("+%F")?)];
    tree.write(
        "usr/share/metainfo/io.seacat.proxy.metainfo.xml",
        fill("linux/io.seacat.proxy.metainfo.xml", &values)?,
        FILE,
    )?;
    tree.folder("etc/seacat-proxy/policy.d")?;
    tree.gzip("usr/share/doc/seacat-proxy/third-party", notices::of(&PACKAGES)?)
}

/// The packages of the workspace that hold [`PROGRAMS`].
const PACKAGES: [&str; 2] = ["seacat-agent", "seacat-gateway"];

/// Lays out the package `seacat-proxy-window`.
pub(super) fn window(tree: &Tree, goods: &Goods) -> Outcome {
    tree.program(&goods.programs, "seacat-proxy-window")?;
    let page = "usr/share/man/man1/seacat-proxy-window.1";
    tree.take("installers/linux/seacat-proxy-window.1", page)?;
    gzip(&[tree.path(page)])?;
    let pages = root().join("ui/dist/.vite/license.md");
    let pages = fs::read_to_string(&pages).map_err(|error| failed(&pages, error))?;
    let notices = format!("{}\n{}\n{pages}", notices::of(&["seacat-window"])?, "-".repeat(72));
    tree.gzip("usr/share/doc/seacat-proxy-window/third-party", notices)
}

/// The application's icon in every size, and as it was drawn.
fn icons(tree: &Tree) -> Outcome {
    for path in files_in(&root().join("icons/rendered/app"))? {
        let size = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let at = format!("usr/share/icons/hicolor/{size}x{size}/apps/seacat-proxy.png");
        tree.take(&format!("icons/rendered/app/{size}.png"), &at)?;
    }
    tree.take("icons/app.svg", "usr/share/icons/hicolor/scalable/apps/seacat-proxy.svg")
}

/// Packs files, without their names and times in it.
fn gzip(files: &[PathBuf]) -> Outcome {
    for file in files {
        allow(file, FILE)?;
    }
    check(Command::new("gzip").args(["-9", "--no-name", "--force"]).args(files))
}

#[cfg(unix)]
fn allow(path: &Path, mode: u32) -> Outcome {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| failed(path, error))
}

#[cfg(not(unix))]
fn allow(path: &Path, _: u32) -> Outcome {
    Err(format!("{}: packages for Linux are made where files have modes", path.display()))
}
