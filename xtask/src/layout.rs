//! Which functions of the program lie side by side.
//!
//! Of the program's eight MiB an ordinary session executes a sixth, scattered over all pages. Linux
//! maps sixteen pages around each that is touched, so nearly all of the program counts as memory in
//! use. A linker script puts the functions that run together, those first that run most.
//!
//! The script names functions without the hash that the compiler gives each, so it outlives another
//! compiler and other versions of what we link. A name that is gone does no harm; when too many
//! are, `cargo xtask test suite-costs` reports the larger memory use.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::step::{cargo, check, root, shown, target_dir};
use crate::{Outcome, packages};

/// The script, for crates/seacat-agent/build.rs.
const SCRIPT: &str = "crates/seacat-agent/layout.ld";
const BUILD: &str = "build --release -p seacat-agent -p seacat-gateway --bins";
const PROGRAM: &str = "seacat-proxy";
const GATEWAY: &str = "seacat-gateway";
const CALLGRIND: [&str; 3] = ["-q", "--tool=callgrind", "--demangle=no"];
/// Connecting, waiting, connected, settings copied, disconnected, connected again, and the end.
const TRAY: &str =
    "test --workspace --test tray -- --exact connecting_waiting_connected_off_and_quit";
/// Files of ring's that hold functions in one section: what TLS runs.
const ASSEMBLED: [&str; 5] =
    ["aes*-x86_64", "ghash-x86_64", "p256-x86_64", "sha256-x86_64", "x86_64-mont"];
/// Requests of each kind: enough that code executed per request ranks before code executed once.
const REQUESTS: usize = 100;
/// valgrind makes everything fifty times as slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// Watches the engine, and writes the script.
pub(crate) fn renew() -> Outcome {
    packages::install(packages::TO_TEST)?;
    let path = root().join(SCRIPT);
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let before = fs::read(&path).map_err(failed)?;
    // valgrind knows no names but those in .text itself, so the program is built without the script.
    fs::write(&path, script([])).map_err(failed)?;
    let (script, outcome) = match watched() {
        Ok(sessions) => (script(sessions).into_bytes(), Ok(())),
        Err(why) => (before, Err(why)),
    };
    fs::write(&path, script).map_err(failed)?;
    outcome
}

/// The functions that ran, with their instructions: in the engine, and in the engine with a tray.
fn watched() -> Result<[HashMap<String, u64>; 2], String> {
    check(&mut cargo(BUILD))?;
    let dir = target_dir().join("layout");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut sessions = [HashMap::new(), HashMap::new()];
    for counted in engine(&dir)? {
        count(&counted, &mut sessions[0]);
    }
    count(&tray(&dir)?, &mut sessions[1]);
    let [engine, tray] = sessions.each_ref().map(HashMap::len);
    println!("{engine} functions run in the engine, {tray} with a tray");
    if engine < 500 { Err(format!("is {PROGRAM} stripped?")) } else { Ok(sessions) }
}

/// A session with a panel under callgrind, and its output: a test's, whose program is a script.
fn tray(dir: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("{}: {error}", dir.display());
    let counted = dir.join("tray");
    let script = format!(
        "#!/bin/sh\nexec valgrind {} --callgrind-out-file='{}' '{}' \"$@\"\n",
        CALLGRIND.join(" "),
        counted.display(),
        released(PROGRAM).display()
    );
    let programs = dir.join("programs");
    fs::create_dir(&programs).map_err(failed)?;
    fs::write(programs.join(PROGRAM), script).map_err(failed)?;
    fs::set_permissions(programs.join(PROGRAM), Permissions::from_mode(0o755)).map_err(failed)?;
    symlink(released(GATEWAY), programs.join(GATEWAY)).map_err(failed)?;
    check(cargo(TRAY).env("SEACAT_PROGRAMS", programs))?;
    fs::read_to_string(counted).map_err(failed)
}

/// Two sessions of the engine under callgrind, and their output: in the first it makes its key and
/// enrols, in the second it finds all that.
fn engine(dir: &Path) -> Result<[String; 2], String> {
    let gateway = |arguments: &[&str]| {
        let mut command = Command::new(released(GATEWAY));
        command.args(arguments).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    check(&mut gateway(&["init", ".", "--name", "localhost"]))?;
    let [near, far] = [free_port()?, free_port()?];
    let write = |name: &str, text: String| {
        fs::write(dir.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    write(
        "gateway.toml",
        format!(
            "[gateway]\nlisten = \"127.0.0.1:{far}\"\ncertificate = \"server.pem\"\n\
             key = \"server.key\"\n\n[host.hello]\nbuiltin = \"hello\"\n\n\
             [host.echo]\nbuiltin = \"echo\"\n\n[enroll]\nmode = \"automatic\"\n"
        ),
    )?;
    write(
        "config.toml",
        format!(
            "[proxy]\nport = {near}\nlisten = [\"127.0.0.1\"]\n\n[identity]\n\
             key_store = \"file\"\n\n[[gateway]]\nhost = \"localhost\"\n\
             address = \"127.0.0.1\"\nport = {far}\nca_file = \"{}\"\n",
            dir.join("ca.pem").display()
        ),
    )?;
    let _gateway = Running::start(&mut gateway(&["run", "--config", "gateway.toml"]))?;
    let certificate =
        dir.join(format!(".local/state/seacat-proxy/identities/localhost,{far}/certificate.der"));
    let session = || {
        let mut command = Command::new("valgrind");
        command.args(CALLGRIND).arg("--callgrind-out-file=counted");
        command.arg(released(PROGRAM)).args(["--config", "config.toml", "run"]);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", dir).env("XDG_RUNTIME_DIR", dir).current_dir(dir);
        let mut engine = Running::start(command.stdout(Stdio::null()))?;
        serve(near)?;
        wait_for("a certificate", || match certificate.exists() {
            true => Ok(()),
            false => Err("not enrolled yet"),
        })?;
        engine.interrupt()?;
        fs::read_to_string(dir.join("counted")).map_err(|error| format!("counted: {error}"))
    };
    Ok([session()?, session()?])
}

fn released(program: &str) -> PathBuf {
    target_dir().join("release").join(program)
}

/// Tries until it succeeds or patience ends.
fn wait_for<E: Display>(what: &str, mut attempt: impl FnMut() -> Result<(), E>) -> Outcome {
    let began = Instant::now();
    while let Err(error) = attempt() {
        if began.elapsed() > PATIENCE {
            return Err(format!("no sign of {what}: {error}"));
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Typical requests of applications: with keep-alive and without, with a body and without.
fn serve(port: u16) -> Outcome {
    let get = "GET http://hello.seacat/ HTTP/1.1\r\nHost: hello.seacat\r\n";
    let post = "POST http://echo.seacat/ HTTP/1.1\r\nHost: echo.seacat\r\nContent-Length: 4\r\n";
    wait_for("an answer", || ask(port, &format!("{get}\r\n"), 1))?;
    let asked = ask(port, &format!("{get}\r\n"), REQUESTS)
        .and_then(|()| ask(port, &format!("{get}Connection: close\r\n\r\n"), 1))
        .and_then(|()| ask(port, &format!("{post}\r\nbody"), REQUESTS));
    asked.map_err(|error| format!("a request failed: {error}"))
}

/// Sends one request so many times on one connection. Each answer is small: one read holds it.
fn ask(port: u16, request: &str, times: usize) -> io::Result<()> {
    let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    for _ in 0..times {
        tcp.write_all(request.as_bytes())?;
        let mut answer = [0; 16 * 1024];
        let length = tcp.read(&mut answer)?;
        if !answer[..length].starts_with(b"HTTP/1.1 200") {
            let said = String::from_utf8_lossy(&answer[..length]).into_owned();
            return Err(io::Error::other(said));
        }
    }
    Ok(())
}

/// Adds the instructions of each function of our program in callgrind's file.
///
/// It has blocks: whose code (`ob=`), which function (`fn=`), and a line for each line of source,
/// with the instructions last. `calls=` marks a call, and the line after it counts the callee. A
/// name has a number, `(12) name`, and from then on only that.
fn count(counted: &str, ran: &mut HashMap<String, u64>) {
    let mut names: HashMap<(bool, &str), &str> = HashMap::new();
    let (mut ours, mut function, mut called) = (false, "", false);
    for line in counted.lines() {
        if let Some((key @ ("ob" | "cob" | "fn" | "cfn"), rest)) = line.split_once('=') {
            let (number, name) = rest.split_once(' ').unwrap_or((rest, ""));
            let name = *names.entry((key.ends_with("ob"), number)).or_insert(name);
            match key {
                "ob" => ours = name.ends_with(PROGRAM),
                "fn" => function = name,
                _ => {}
            }
        } else if line.starts_with("calls=") {
            called = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            let instructions = line.rsplit(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0);
            // Without a name it is a stub of the linker's.
            if ours
                && !called
                && function.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
            {
                *ran.entry(function.to_owned()).or_default() += instructions;
            }
            called = false;
        }
    }
}

/// The script: a section for executed functions before everything else, most instructions in a
/// session first, followed by functions that only the next session executes.
fn script(sessions: impl IntoIterator<Item = HashMap<String, u64>>) -> String {
    let functions = sessions.into_iter().flat_map(|ran| {
        let mut functions: Vec<(String, u64)> = ran.into_iter().collect();
        functions.sort_by(|(a, most), (b, more)| (more, a).cmp(&(most, b)));
        functions
    });
    let mut known = HashSet::new();
    let mut text =
        "/* What ordinary sessions of the program run, side by side (xtask/src/layout.rs).\n   \
         `cargo xtask layout` writes it anew. */\nSECTIONS {\n  .text.run : {\n"
            .to_owned();
    for file in ASSEMBLED {
        text += &format!("    *{file}*(.text)\n");
    }
    // Constructors of C: mimalloc's.
    text += "    *(.text.startup*)\n";
    for pattern in functions.map(|(name, _)| pattern(&name)) {
        if known.insert(pattern.clone()) {
            text += &format!("    *({pattern})\n");
        }
    }
    text + "  }\n}\nINSERT BEFORE .text;\n"
}

/// A section for the linker to look for: a function of that name with any hash, `17h0123456789abcdefE` at
/// the end or `Cs0aB1_` in front of a crate, and with any number, `.1234` at the end of one that several
/// parts of the program have each for itself. Those that the compiler takes for seldom run are in
/// `.text.unlikely.NAME`.
fn pattern(name: &str) -> String {
    // `'2` is callgrind's mark of a recursive call.
    let name = name.split('\'').next().unwrap_or(name);
    let pattern = match name.rsplit_once("17h") {
        Some((name, hash)) if hash.len() > 16 => format!("{name}17h*"),
        _ if name.starts_with("_R") => any_hash(name),
        // Of C: a number at the end is a part of its section's name.
        _ => name.to_owned(),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.*".contains(c) { c } else { '?' };
    let mangled = ["_ZN", "_R"].iter().any(|start| name.starts_with(start));
    let prefix = if mangled { ".text.*" } else { ".text." };
    prefix.chars().chain(pattern.chars().map(plain)).collect()
}

/// A name like `_RNvCs0aB1_4core3fmt.1234` with any hash and any number.
fn any_hash(name: &str) -> String {
    let mut crates = name.split('.').next().unwrap_or(name).split("Cs");
    let mut pattern = crates.next().unwrap_or_default().to_owned();
    for rest in crates {
        match rest.split_once('_') {
            Some((hash, rest)) if hash.chars().all(|c| c.is_ascii_alphanumeric()) => {
                pattern += &format!("Cs*_{rest}");
            }
            _ => pattern += &format!("Cs{rest}"),
        }
    }
    pattern + "*"
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no port is free: {error}"))
}

/// A program that ends with the value.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self, String> {
        command
            .spawn()
            .map(Self)
            .map_err(|error| format!("cannot start {}: {error}", shown(command)))
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(&mut self) -> Outcome {
        check(Command::new("sh").args(["-c", &format!("kill -s INT {}", self.0.id())]))?;
        let status = self.0.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the engine ended with {status}")) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_those_of_our_functions_and_calls_count_for_the_called() {
        let counted = "events: Ir\n\nob=(1) /bin/seacat-proxy\nfl=(1) ???\nfn=(1) main\n0 5\n\
             cob=(2) /lib/libc.so.6\ncfn=(2) malloc\ncalls=3 0\n* 900\n+1 5\n\n\
             fn=(3) write\n16 20\n\nob=(2)\nfn=(2)\n0 900\n\n\
             ob=(1)\nfn=(4) 0x0000000000001050\n0 99\n\nfn=(1)\n0 1\n";
        let mut ran = HashMap::from([("write".to_owned(), 1)]);
        count(counted, &mut ran);
        assert_eq!(ran, HashMap::from([("main".to_owned(), 11), ("write".to_owned(), 21)]));
    }

    #[test]
    fn names_outlive_their_hashes() {
        let cases = [
            (
                "_ZN4core6FnOnce28_$u7b$$u7b$vtable.shim$u7d$$u7d$17h0123456789abcdefE",
                "*_ZN4core6FnOnce28_?u7b??u7b?vtable.shim?u7d??u7d?17h*",
            ),
            ("_ZN3log5write17h0123456789abcdefE.2284", "*_ZN3log5write17h*"),
            ("_RNvXs8_NtCsgEmfK2I1SDS_4core3netNtB7_3fmt", "*_RNvXs8_NtCs*_4core3netNtB7_3fmt*"),
            ("_RNvNtCslNYArtu3iFV_5alloc5boxed3new.1993", "*_RNvNtCs*_5alloc5boxed3new*"),
            ("_RNvNtNtCsjrHSEGnQ3l9_3std3sys6rename'2", "*_RNvNtNtCs*_3std3sys6rename*"),
            ("mi_segment_purge.part.0", "mi_segment_purge.part.0"),
            ("main", "main"),
        ];
        for (name, expected) in cases {
            assert_eq!(pattern(name), format!(".text.{expected}"));
        }
    }

    #[test]
    fn what_ran_most_comes_first_and_once() {
        let ran = [("c", 1), ("f17h0123456789abcdefE", 5), ("f17h4567456789abcdefE", 7), ("b", 1)];
        let ran = ran.map(|(name, count)| (name.to_owned(), count));
        let later = [("b", 9), ("a", 8)].map(|(name, count)| (name.to_owned(), count));
        let script = script([ran.into(), later.into()]);
        let rows = "    *(.text.f17h*)\n    *(.text.b)\n    *(.text.c)\n    *(.text.a)\n  }\n";
        assert!(script.contains(rows), "{script}");
    }
}
