//! The installer for Windows, made on Linux; and its life under Wine.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Windows;
use crate::Outcome;
use crate::step::{check, root, shown};

/// The programs in it.
const PROGRAMS: [&str; 2] = ["seacat-proxy.exe", "seacat-gateway.exe"];

/// Where it installs, on Wine's drive C, and what the search path gets.
const FOLDER: &str = r"C:\Program Files\SeaCat Proxy";

/// Where Windows lists it among the installed programs.
const ENTRY: &str = r"HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall\SeaCatProxy";

/// Where the search path is.
const ENVIRONMENT: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment";

/// `ERROR_SUCCESS_REBOOT_REQUIRED`; on Linux an exit code has eight bits.
const REBOOT_REQUIRED: i32 = 3010 & 0xff;

/// The version that is upgraded to.
const NEWER: &str = "99.0.0";

/// How long a proxy may take to start or to end, and an uninstaller to go on after its own end: it runs from
/// a copy of itself.
const LIMIT: Duration = Duration::from_secs(30);

/// Makes `seacat-proxy-VERSION-setup.exe` in `folder` of the programs in `programs`. With `quick` it is packed soon
/// rather than small.
pub(super) fn make(
    programs: &Path,
    folder: &Path,
    version: &str,
    quick: bool,
) -> Result<PathBuf, String> {
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    // A file that the script names without its folder is beside the script.
    let script = folder.join("seacat-proxy.nsi");
    let from = root().join("installers/windows/seacat-proxy.nsi");
    fs::copy(&from, &script).map_err(|error| failed(&from, error))?;
    let mut makensis = Command::new("makensis");
    makensis.args(["-V2", "-WX"]).arg(format!("-DVERSION={version}"));
    makensis.arg(format!("-DPROGRAMS={}", programs.display()));
    if quick {
        makensis.arg("-DQUICK");
    }
    check(makensis.arg(&script))?;
    Ok(folder.join(format!("seacat-proxy-{version}-setup.exe")))
}

/// Copies the programs into `folder`, without their symbols.
pub(super) fn strip(programs: &Path, folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    PROGRAMS.iter().try_for_each(|name| {
        let mut strip = Command::new("x86_64-w64-mingw32-strip");
        check(strip.arg("-o").arg(folder.join(name)).arg(programs.join(name)))
    })
}

/// Installs, upgrades over running proxies, refuses an older version, and removes, all silently.
pub(super) fn life(windows: &Windows) -> Outcome {
    let folder = windows.dir.join("installer");
    let (old, new) = (folder.join("old"), folder.join("new"));
    strip(&windows.programs(), &old)?;
    strip(&windows.programs(), &new)?;
    // Another program that does the same: what is behind its end is not looked at.
    let mut program = fs::read(new.join(PROGRAMS[0])).map_err(|error| failed(&new, error))?;
    program.extend_from_slice(NEWER.as_bytes());
    fs::write(new.join(PROGRAMS[0]), &program).map_err(|error| failed(&new, error))?;
    let setup = make(&old, &folder, env!("CARGO_PKG_VERSION"), true)?;
    let upgrade = make(&new, &folder, NEWER, true)?;

    let drive = windows.prefix().join("drive_c");
    let installed = drive.join("Program Files/SeaCat Proxy");
    let is_there = || installed.join(PROGRAMS[0]).is_file();
    let path = || windows.registry_value(ENVIRONMENT, "Path");
    let before = path()?;
    windows.make_random_in(&drive.join("windows/system32"))?;

    expect(windows, &setup, 0)?;
    require(is_there() && installed.join(PROGRAMS[1]).is_file(), "the programs are installed")?;
    require(path()? == format!("{before};{FOLDER}"), "the folder is on the search path")?;

    let ours = Running::start(windows, None)?;
    expect(windows, &upgrade, 0)?;
    ours.ends("an upgrade asks the running proxy to stop")?;
    let now = fs::read(installed.join(PROGRAMS[0])).unwrap_or_default();
    require(now == program, "the program of the newer version is installed")?;
    let version = windows.registry_value(ENTRY, "DisplayVersion")?;
    require(version == NEWER, &format!("the entry has the version {NEWER} (found {version})"))?;
    require(path()? == format!("{before};{FOLDER}"), "it is on the search path once")?;

    expect(windows, &setup, 1)?;
    let version = windows.registry_value(ENTRY, "DisplayVersion")?;
    require(version == NEWER, "an older version is refused")?;

    // As another user's: it cannot be asked to stop, so its program is put aside.
    let theirs = Running::start(windows, Some(&folder.join("state")))?;
    expect(windows, &upgrade, REBOOT_REQUIRED)?;
    require(is_there(), "the program is installed beside the one that runs")?;
    drop(theirs);

    let ours = Running::start(windows, None)?;
    expect(windows, &installed.join("uninstall.exe"), 0)?;
    ours.ends("a removal asks the running proxy to stop")?;
    wait_for("the end of the removal", || !is_there())?;
    wait_for("its entry's end", || windows.registry_value(ENTRY, "DisplayVersion").is_err())?;
    require(path()? == before, "the search path is as it was")
}

fn failed(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn require(holds: bool, what: &str) -> Outcome {
    if holds {
        println!("{what}");
        Ok(())
    } else {
        Err(format!("it does not hold that {what}"))
    }
}

fn wait_for(what: &str, mut look: impl FnMut() -> bool) -> Outcome {
    let deadline = Instant::now() + LIMIT;
    while !look() {
        if Instant::now() > deadline {
            return Err(format!("waited {LIMIT:?} for {what}"));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Runs an installer that asks nothing, and must end with this code.
fn expect(windows: &Windows, program: &Path, code: i32) -> Outcome {
    let mut command = windows.program(program);
    let status = command.arg("/S").status();
    let status = status.map_err(|error| format!("cannot start {}: {error}", shown(&command)))?;
    require(status.code() == Some(code), &format!("{} ends with {code}", shown(&command)))
}

/// The installed proxy with its built-in gateway.
struct Running(Child);

impl Running {
    /// Starts it, and waits until it listens.
    fn start(windows: &Windows, state: Option<&Path>) -> Result<Self, String> {
        let mut command = windows.program(format!(r"{FOLDER}\seacat-proxy.exe"));
        // Any port: others may be taken.
        command.args(["run", "--demo", "--port", "0"]);
        if let Some(state) = state {
            command.arg("--state-dir").arg(format!("Z:{}", state.display()));
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn();
        let mut running = Self(child.map_err(|error| format!("cannot start the proxy: {error}"))?);
        let out = running.0.stdout.take().map(BufReader::new);
        let mut lines = out.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        match lines.any(|line| line.starts_with("Press Ctrl-C")) {
            true => Ok(running),
            false => Err("the installed proxy does not start".to_owned()),
        }
    }

    /// It has ended, or does so soon.
    fn ends(mut self, what: &str) -> Outcome {
        wait_for(what, || matches!(self.0.try_wait(), Ok(Some(_))))?;
        require(true, what)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
