//! The .deb: what Debian wants around a tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tree::{self, FILE, PROGRAM, Tree};
use super::{Goods, Release, empty, failed, fill, output, words};
use crate::step::{check, root};

/// How often this release was packed for Debian.
const REVISION: &str = "1";

/// Makes the packages in `folder`; which.
pub(super) fn make(
    folder: &Path,
    goods: &Goods,
    release: &Release,
) -> Result<Vec<PathBuf>, String> {
    let proxy = Tree::new(folder.join("tree/deb/seacat-proxy"))?;
    tree::proxy(&proxy, goods, release, "usr/share/zsh/vendor-completions")?;
    let units = fill("linux/user-units.sh", &[])?;
    for script in ["postinst", "prerm"] {
        let text = fill(&format!("debian/{script}"), &[("USER_UNITS", units.trim_end())])?;
        proxy.write(&format!("DEBIAN/{script}"), text, PROGRAM)?;
    }
    let mut made = vec![pack(folder, &proxy, "seacat-proxy", goods, release)?];
    if goods.window {
        let window = Tree::new(folder.join("tree/deb/seacat-proxy-window"))?;
        tree::window(&window, goods)?;
        made.push(pack(folder, &window, "seacat-proxy-window", goods, release)?);
    }
    Ok(made)
}

/// Adds copyright, changes, sums and the control file, and closes the package.
fn pack(
    folder: &Path,
    tree: &Tree,
    name: &str,
    goods: &Goods,
    release: &Release,
) -> Result<PathBuf, String> {
    let version = format!("{}-{REVISION}", release.version);
    let documents = format!("usr/share/doc/{name}");
    tree.write(&format!("{documents}/copyright"), fill("debian/copyright", &[])?, FILE)?;
    let overrides = fill("debian/lintian-overrides", &[])?;
    tree.write(&format!("usr/share/lintian/overrides/{name}"), overrides, FILE)?;
    let changes = root().join("CHANGELOG.md");
    let text = fs::read(&changes).map_err(|error| failed(&changes, error))?;
    tree.gzip(&format!("{documents}/changelog"), text)?;
    let entry = format!(
        "{name} ({version}) unstable; urgency=medium\n\n  * Release {}; changelog.gz says what is new.\n\n \
         -- {}  {}\n",
        release.version,
        release.maintainer,
        release.date("--rfc-email")?
    );
    tree.gzip(&format!("{documents}/changelog.Debian"), entry)?;

    let architecture = words(Command::new("dpkg").arg("--print-architecture"))?;
    let size = output(Command::new("du").args(["-sk", "--apparent-size"]).arg(tree.path("")))?;
    let size = String::from_utf8_lossy(&size);
    let values = [
        ("VERSION", version.as_str()),
        ("ARCHITECTURE", &architecture),
        ("MAINTAINER", &release.maintainer),
        ("SIZE", size.split_whitespace().next().unwrap_or_default()),
        ("DEPENDS", &libraries(&folder.join("tree/deb"), tree)?),
    ];
    tree.write("DEBIAN/control", fill(&format!("debian/{name}.control"), &values)?, FILE)?;
    tree.write("DEBIAN/md5sums", sums(tree)?, FILE)?;
    let package = folder.join(format!("{name}_{version}_{architecture}.deb"));
    let mut build = release.command("dpkg-deb");
    build.args(["--root-owner-group", "-Zxz", if goods.quick { "-z1" } else { "-z9" }]);
    check(build.arg("--build").arg(tree.path("")).arg(&package))?;
    Ok(package)
}

/// The packages that bring the libraries our programs are linked with.
fn libraries(folder: &Path, tree: &Tree) -> Result<String, String> {
    // It reads the control file of a source package for the kinds of dependency alone.
    let source = folder.join("shlibdeps");
    let control = source.join("debian/control");
    empty(&source.join("debian"))?;
    fs::write(&control, "Source: seacat-proxy\n\nPackage: seacat-proxy\nArchitecture: any\n")
        .map_err(|error| failed(&control, error))?;
    let mut command = Command::new("dpkg-shlibdeps");
    command.arg("-O").current_dir(&source);
    for program in tree.programs()? {
        command.arg("-e").arg(program);
    }
    let said = words(&mut command)?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    depends.map(str::to_owned).ok_or_else(|| format!("dpkg-shlibdeps names none: {said}"))
}

/// The sums of all files, for `dpkg --verify`.
fn sums(tree: &Tree) -> Result<Vec<u8>, String> {
    // The names as Debian writes them: without ./, in order.
    let line = "find usr etc -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum";
    output(Command::new("sh").args(["-c", line]).current_dir(tree.path("")))
}
