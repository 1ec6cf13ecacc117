//! The .rpm: the same files, closed by rpmbuild.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tree::{self, FILE, Tree};
use super::{Goods, Release, empty, fill, words};
use crate::step::{check, root};

/// Makes the packages in `folder`; which.
pub(super) fn make(
    folder: &Path,
    goods: &Goods,
    release: &Release,
) -> Result<Vec<PathBuf>, String> {
    let tree = Tree::new(folder.join("tree/rpm"))?;
    tree::proxy(&tree, goods, release, "usr/share/zsh/site-functions")?;
    tree.write("usr/share/licenses/seacat-proxy/copyright", fill("debian/copyright", &[])?, FILE)?;
    if goods.window {
        tree::window(&tree, goods)?;
    }
    let work = folder.join("rpmbuild");
    empty(&work)?;
    let define = |name: &str, value: &str| format!("--define={name} {value}");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut build = release.command("rpmbuild");
    build.args(["-bb", "--quiet"]).arg(root().join("installers/rpm/seacat-proxy.spec"));
    build.args([
        define("_topdir", &text(&work)),
        define("_rpmdir", &text(folder)),
        define("_rpmfilename", "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"),
        define("tree", &text(&tree.path(""))),
        define("release_version", &release.version),
        define("release_maintainer", &release.maintainer),
        define("_binary_payload", if goods.quick { "w1.gzdio" } else { "w19.zstdio" }),
        define("use_source_date_epoch_as_buildtime", "1"),
        define("clamp_mtime_to_source_date_epoch", "1"),
        define("_buildhost", "localhost"),
    ]);
    if goods.window {
        build.arg("--with=window");
    }
    check(&mut build)?;
    let architecture = words(Command::new("rpm").args(["--eval", "%{_target_cpu}"]))?;
    let package = |name| folder.join(format!("{name}-{}-1.{architecture}.rpm", release.version));
    let mut made = vec![package("seacat-proxy")];
    if goods.window {
        made.push(package("seacat-proxy-window"));
    }
    Ok(made)
}
