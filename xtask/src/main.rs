//! The developer's commands: `cargo xtask run`, `cargo xtask test` and their smaller parts.
//!
//! It uses only the standard library, so that the first command compiles in a second and needs
//! nothing else installed. (Building any Rust program needs a linker: without a C compiler cargo
//! itself fails first.)

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "commands print")]

mod bench;
mod check;
mod deny;
mod fuzz;
mod guard;
mod icons;
#[cfg(unix)]
mod layout;
mod package;
mod packages;
mod run;
mod stamp;
mod step;
mod test;
mod tools;
mod ui;
mod windows;

use std::process::ExitCode;

/// Why a command failed, as a message for the user.
type Outcome = Result<(), String>;

const USAGE: &str = "\
cargo xtask run [--release] [-- ARGS]  build and start the proxy, with its built-in gateway when
                                       none is configured; ARGS go to `seacat-proxy run`
cargo xtask check                      the one-minute check: formatting, structure, then lints and
                                       unit tests of the crates that were changed
cargo xtask test [NAME]...             everything that must hold, step by step; or only the steps
                                       whose name contains a NAME
cargo xtask test windows               build for Windows and run it under Wine; not a part of
                                       `cargo xtask test`
cargo xtask test --list                the names of the steps
cargo xtask fuzz TARGET [SECONDS]      search for inputs that break TARGET (default: 60 s)
cargo xtask fuzz TARGET merge          keep in the repository what the last runs found, minimised
cargo xtask flood [SECONDS]            floods against release builds, each for so long (default: 15):
                                       what they cost, and how another client fares
cargo xtask bench [WHAT]... [OPTIONS]  our proxy beside its peers; WHAT is small, bulk, fair, stall,
                                       idle, startup, growth or wan (all without); --help says the
                                       rest
cargo xtask guard renew                count the instructions of the protocol's operations anew, and
                                       keep them as what `cargo xtask test bench-guard` allows
cargo xtask layout                     look which functions the engine runs, and have the linker put
                                       them side by side
cargo xtask deny                       licences, sources and bans of everything we link
cargo xtask icons                      render icons/*.svg in every size
cargo xtask ui                         build the window's pages (Node.js), if they have changed
cargo xtask package [OPTIONS]          a .deb and an .rpm in target/package; --profile dev takes the
                                       programs as tests build them, --without-window leaves the
                                       window out, --version X calls the release X
cargo xtask package windows            the installer for Windows, made on Linux; --profile dev as above
cargo xtask packages                   install the system packages that building and testing need";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["run", rest @ ..] => run::run(rest),
        ["check"] => check::check(),
        ["test", "--list"] => {
            test::list();
            Ok(())
        }
        ["test", "windows"] => windows::run(),
        ["test", names @ ..] => test::test(names),
        ["fuzz", target] => fuzz::fuzz(target, fuzz::DEFAULT_SECONDS),
        ["fuzz", target, "merge"] => fuzz::merge(target),
        ["fuzz", target, seconds] => match seconds.parse() {
            Ok(seconds) => fuzz::fuzz(target, seconds),
            Err(_) => Err(format!("{seconds:?} is not a number of seconds")),
        },
        ["flood"] => test::flood(15),
        ["flood", seconds] => match seconds.parse() {
            Ok(seconds) => test::flood(seconds),
            Err(_) => Err(format!("{seconds:?} is not a number of seconds")),
        },
        ["bench", arguments @ ..] => bench::bench(arguments),
        ["guard", "renew"] => guard::renew(),
        #[cfg(unix)]
        ["layout"] => layout::renew(),
        ["deny"] => deny::deny(),
        ["icons"] => icons::render(),
        ["ui"] => ui::build(),
        ["package", "windows", arguments @ ..] => windows::package(arguments),
        ["package", arguments @ ..] => package::package(arguments),
        ["packages"] => packages::install(packages::TO_TEST),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("this is not one of the commands:\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nxtask: {why}");
            ExitCode::FAILURE
        }
    }
}
