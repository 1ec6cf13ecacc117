//! `seacat-count NAME TIMES`: does one operation so often, for a program that counts instructions.
//! Without arguments it prints the names.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program says what it does")]

use std::process::ExitCode;

use seacat_bench_core::operations;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            for (name, _) in operations() {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        [name, times] => {
            match (operations().into_iter().find(|(n, _)| *n == name), times.parse()) {
                (Some((_, mut operation)), Ok(times)) => {
                    (0_u32..times).for_each(|_| operation.run());
                    ExitCode::SUCCESS
                }
                _ => usage(),
            }
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("seacat-count [NAME TIMES]");
    ExitCode::FAILURE
}
