//! `cargo xtask test windows`: the programs built for Windows on Linux, and run under Wine.
//!
//! No package has a standard library for Windows that fits our compiler, so cargo builds one from
//! Debian's source of it (`-Zbuild-std`). What is built is in `target/windows`, with a Wine prefix, so a
//! second run compiles what has changed and nothing else.
//!
//! Without the feature `compat`: OpenSSL, which has to be built from source for Windows, would take longer
//! than all the rest.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod installer;

use crate::step::{self, check, shown, target_dir, timed};
use crate::{Outcome, packages, test};

const TARGET: &str = "x86_64-pc-windows-gnu";

/// Debian's compiler, whose source is beside it: rustup's has none here.
const RUSTC: &str = "/usr/bin/rustc";

/// The source of its standard library.
const SOURCE: &str = "/usr/lib/rustlib/src/rust/library";

/// What is built of the standard library. Another list would give every crate another hash.
const STD: &str = "-Zbuild-std=std,panic_unwind,proc_macro,test";

/// The crates that are built and whose tests are run: those where the system makes a difference. The
/// others hold no call of the system, and are tested on Linux.
const CRATES: [&str; 7] = [
    "seacat-files",
    "seacat-link",
    "seacat-channel",
    "seacat-proxy",
    "seacat-gateway",
    "seacat-agent",
    "seacat-windows",
];

/// The suites that are run against the proxy for Windows.
const SUITES: [&str; 5] = ["run", "clients", "hostile", "kill", "reverse"];

/// What every Rust program imports of Windows (`ProcessPrng`) and Wine 8 does not have.
const RANDOM: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
    return SystemFunction036(data, (ULONG)size);
}
";

/// Builds, runs the crates' tests, and the suites.
pub(crate) fn run() -> Outcome {
    packages::install(packages::TO_TEST_WINDOWS)?;
    let windows = Windows::prepare()?;
    timed("windows-build", "the programs for Windows", || windows.build())?;
    timed("windows-xtask", "cargo xtask for Windows", || windows.check_xtask())?;
    timed("windows-unit", "the crates' own tests under Wine", || windows.unit_tests())?;
    timed("windows-installer", "installed, upgraded and removed under Wine", || {
        installer::life(&windows)
    })?;
    test::build()?;
    windows.suites()
}

/// Makes the installer in `target/package`, of release programs, or with `--profile dev` of those that the tests
/// build, which are without OpenSSL.
pub(crate) fn package(arguments: &[&str]) -> Outcome {
    let is_release = match arguments {
        [] | ["--profile", "release"] => true,
        ["--profile", "dev"] => false,
        _ => return Err("`package windows` has one option: --profile dev".to_owned()),
    };
    packages::install(packages::TO_TEST_WINDOWS)?;
    let windows = Windows::prepare()?;
    let programs = if is_release { windows.build_release()? } else { windows.build_programs()? };
    let folder = target_dir().join("package");
    let stripped = windows.dir.join("stripped");
    installer::strip(&programs, &stripped)?;
    let made = installer::make(&stripped, &folder, env!("CARGO_PKG_VERSION"), !is_release)?;
    println!("{}", made.display());
    Ok(())
}

/// The folders of the cross-build.
struct Windows {
    /// `target/windows`.
    dir: PathBuf,
}

impl Windows {
    /// Makes what cargo does not.
    fn prepare() -> Result<Self, String> {
        let windows = Self { dir: target_dir().join("windows") };
        for folder in [windows.start_files(), windows.programs()] {
            fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        windows.make_start_files()?;
        windows.make_random()?;
        Ok(windows)
    }

    fn start_files(&self) -> PathBuf {
        self.dir.join("rt")
    }

    /// Where cargo puts the programs.
    fn programs(&self) -> PathBuf {
        self.dir.join(TARGET).join("debug")
    }

    /// The objects at the beginning and the end of every program for Windows, which rustc expects beside
    /// its own standard library.
    fn make_start_files(&self) -> Outcome {
        for name in ["rsbegin", "rsend"] {
            let object = self.start_files().join(format!("{name}.o"));
            if object.exists() {
                continue;
            }
            let source = Path::new(SOURCE).join(format!("rtstartup/{name}.rs"));
            let mut rustc = Command::new(RUSTC);
            rustc.env("RUSTC_BOOTSTRAP", "1").args(["--target", TARGET, "--emit=obj", "-o"]);
            check(rustc.arg(object).arg(source))?;
        }
        Ok(())
    }

    /// Beside the programs and beside the tests: Windows looks for a DLL in the program's folder.
    fn make_random(&self) -> Outcome {
        let source = self.dir.join("random.c");
        fs::write(&source, RANDOM).map_err(|e| format!("{}: {e}", source.display()))?;
        let tests = self.programs().join("deps");
        fs::create_dir_all(&tests).map_err(|e| format!("{}: {e}", tests.display()))?;
        [self.programs(), tests].iter().try_for_each(|folder| self.make_random_in(folder))
    }

    fn make_random_in(&self, folder: &Path) -> Outcome {
        let mut gcc = Command::new("x86_64-w64-mingw32-gcc");
        gcc.args(["-shared", "-O1", "-o"]).arg(folder.join("bcryptprimitives.dll"));
        check(gcc.arg(self.dir.join("random.c")).arg("-ladvapi32"))
    }

    fn build(&self) -> Outcome {
        check(self.cargo("build", &CRATES).args(["--no-default-features", "--bins"]))
    }

    /// The programs as the tests build them; their folder.
    fn build_programs(&self) -> Result<PathBuf, String> {
        self.build()?;
        Ok(self.programs())
    }

    /// The programs for users, with OpenSSL (which needs perl and make); their folder.
    fn build_release(&self) -> Result<PathBuf, String> {
        packages::install(packages::TO_BUILD_OPENSSL)?;
        check(
            self.cargo("build", &["seacat-agent", "seacat-gateway"]).args(["--release", "--bins"]),
        )?;
        Ok(self.dir.join(TARGET).join("release"))
    }

    /// The developer's commands, which are run on Windows as well.
    fn check_xtask(&self) -> Outcome {
        check(&mut self.cargo("check", &["xtask"]))
    }

    /// Those inside the crates. The others have limits in seconds, which a loaded computer with Wine does not keep.
    fn unit_tests(&self) -> Outcome {
        let mut cargo = self.cargo("test", &CRATES);
        // Ten years of the identity's life cycle and the simulated network know no system, and take minutes
        // without optimisation.
        cargo.args(["--no-default-features", "--lib", "--bins", "--no-fail-fast"]);
        cargo.args(["--", "--skip", "ten_years", "--skip", "simulation::"]);
        // Wine 8 reads a reset connection as one that was closed, which this test tells apart.
        cargo.args(["--skip", "a_head_has_an_end"]);
        // Two thousand answers of one byte, each a message to Wine's server, within 12 s.
        cargo.args(["--skip", "a_tunnel_begins_right_behind_the_head"]);
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "wine");
        check(cargo.envs(self.wine()))
    }

    /// The suites of Linux with the proxy for Windows; gateway, origin and clients are Linux's own.
    fn suites(&self) -> Outcome {
        let programs = self.make_launcher()?;
        SUITES.iter().try_for_each(|name| {
            let mut suite = test::suite(name, "modern");
            suite.env("SEACAT_PROGRAMS", &programs).env("SEACAT_WINE", "1");
            timed(&format!("windows-{name}"), "the suite against the .exe", || check(&mut suite))
        })
    }

    /// A folder with a program `seacat-proxy` that starts the one for Windows. Suites give their programs an
    /// empty environment, so it sets what Wine needs.
    fn make_launcher(&self) -> Result<PathBuf, String> {
        let folder = self.dir.join("launcher");
        let file = folder.join("seacat-proxy");
        let variables: Vec<String> = self
            .wine()
            .into_iter()
            .map(|(name, value)| format!("export {name}='{}'\n", value.display()))
            .collect();
        let program = self.programs().join("seacat-proxy.exe");
        let script =
            format!("#!/bin/sh\n{}exec wine '{}' \"$@\"\n", variables.concat(), program.display());
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&file, script))
            .map_err(|e| format!("{}: {e}", file.display()))?;
        check(Command::new("chmod").arg("+x").arg(&file))?;
        Ok(folder)
    }

    fn prefix(&self) -> PathBuf {
        self.dir.join("prefix")
    }

    /// A program under Wine, by its path on Linux or on Windows.
    fn program(&self, path: impl AsRef<OsStr>) -> Command {
        let mut wine = Command::new("wine");
        wine.arg(path).envs(self.wine()).current_dir(&self.dir);
        wine
    }

    /// A text in the registry.
    fn registry_value(&self, key: &str, name: &str) -> Result<String, String> {
        let mut reg = self.program("reg");
        let done = reg.args(["query", key, "/v", name]).output();
        let done = done.map_err(|error| format!("cannot start {}: {error}", shown(&reg)))?;
        // "    NAME    REG_SZ    VALUE"
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let value = text.lines().find_map(|line| {
            let rest = line.trim().strip_prefix(name)?.trim_start();
            Some(rest.split_once(char::is_whitespace)?.1.trim().to_owned())
        });
        value.ok_or_else(|| format!("{name} is not in {key}"))
    }

    /// The environment in which Wine finds its prefix, prints nothing and asks nothing.
    fn wine(&self) -> [(&'static str, OsString); 4] {
        [
            ("WINEPREFIX", self.prefix().into()),
            ("WINEDEBUG", "-all".into()),
            ("WINEARCH", "win64".into()),
            // No menus on the desktop; no Mono and no Gecko, which Wine would offer to download.
            ("WINEDLLOVERRIDES", "winemenubuilder.exe=d;mscoree=;mshtml=".into()),
        ]
    }

    /// A cargo command for packages of the workspace, for Windows.
    fn cargo(&self, command: &str, packages: &[&str]) -> Command {
        let mut cargo = step::cargo(command);
        cargo.args([STD, "--target", TARGET]);
        for name in packages {
            cargo.args(["-p", name]);
        }
        let flags = format!("-L native={}", self.start_files().display());
        cargo.envs([
            ("RUSTC", RUSTC),
            ("RUSTC_BOOTSTRAP", "1"),
            ("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", "x86_64-w64-mingw32-gcc"),
            ("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS", &flags),
            // Half the time and a third of the disk; a failed test says where it failed all the same.
            ("CARGO_PROFILE_DEV_OPT_LEVEL", "0"),
            ("CARGO_PROFILE_DEV_DEBUG", "false"),
            ("CARGO_INCREMENTAL", "0"),
        ]);
        cargo.env("CARGO_TARGET_DIR", &self.dir);
        cargo
    }
}

impl Drop for Windows {
    /// Wine's server goes on for a while after the last program.
    fn drop(&mut self) {
        let _ = Command::new("wineserver").arg("-k").envs(self.wine()).status();
    }
}
