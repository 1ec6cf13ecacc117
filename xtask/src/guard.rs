//! Instruction counts of the protocol's own operations, held to a table.
//!
//! An instruction count does not depend on the machine's load, so a change of a few percent is
//! detected that a clock would not show. Each operation runs twice under callgrind, some times and
//! some more; the difference is free of what starting the program costs.

use std::fs;
use std::process::Command;

use crate::Outcome;
use crate::step::{cargo, check, root, shown, target_dir};

/// The table, readable as text.
const TABLE: &str = "bench/core/instructions.txt";
/// What builds the program that is counted. Its own profile: as optimised as a release.
const BUILD: &str = "build --profile guard -p seacat-bench-core --bin seacat-count";
/// How often an operation runs, in the shorter and the longer run.
const TIMES: [u32; 2] = [20, 60];
/// How often this is counted; the least is kept. Tables are hashed with random keys, and one time in twenty
/// an unlucky key takes 3 to 5 % more.
const TRIES: u32 = 3;
/// By how much a count may exceed the table's, in percent.
const TOLERANCE: f64 = 3.0;
/// From where on a lower count is worth a new table, in percent.
const GAIN: f64 = 5.0;

/// Counts, and compares with the table.
pub(crate) fn check_counts() -> Outcome {
    let path = root().join(TABLE);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let counted = count_all()?;
    let allowed = rows(&text)?;
    let names = |rows: &[(String, u64)]| rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
    if names(&counted) != names(&allowed) {
        return Err(format!("{TABLE} has other operations than the program; {RENEW}"));
    }
    let mut worse = Vec::new();
    for ((name, now), (_, then)) in counted.iter().zip(&allowed) {
        let change = (*now as f64 / *then as f64 - 1.0) * 100.0;
        println!("{name:10} {now:>9} instructions, {change:+.1} %");
        if change > TOLERANCE {
            worse.push(format!("{name} needs {now} instructions, {then} are allowed"));
        } else if change < -GAIN {
            println!("{:10} that is less: {RENEW}", "");
        }
    }
    match worse.as_slice() {
        [] => Ok(()),
        worse => Err(format!(
            "{}\n{RENEW}, if that is how it shall be (another compiler counts otherwise, too:\n  {}\n  {})",
            worse.join("\n"),
            compiler_of(&text),
            compiler()?
        )),
    }
}

const RENEW: &str = "`cargo xtask guard renew` writes a new table";

/// Counts, and writes the table.
pub(crate) fn renew() -> Outcome {
    let mut text = format!(
        "# Instructions for each operation of bench/core/src/lib.rs, counted by callgrind.\n\
         # `cargo xtask test bench-guard` fails when one needs {TOLERANCE} % more.\n\
         # profile guard (Cargo.toml: optimised as a release, without LTO)\n\
         {COMPILER}{}\n",
        compiler()?
    );
    for (name, count) in count_all()? {
        println!("{name:10} {count:>9} instructions");
        text += &format!("{name:10} {count:>9}\n");
    }
    let path = root().join(TABLE);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

const COMPILER: &str = "# ";

/// What the compiler calls itself.
fn compiler() -> Result<String, String> {
    output(Command::new("rustc").arg("--version").current_dir(root()))
        .map(|(out, _)| out.trim().to_owned())
}

/// What the table's compiler called itself.
fn compiler_of(table: &str) -> &str {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix(COMPILER));
    lines.find(|line| line.starts_with("rustc")).unwrap_or("rustc of the table")
}

/// The lines of the table: name and count.
fn rows(table: &str) -> Result<Vec<(String, u64)>, String> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let row = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.trim().parse().ok().filter(|count| *count > 0)?))
    };
    let wrong = |line| format!("{TABLE}: {line:?} is not a name and a count");
    lines.map(|line| row(line).ok_or_else(|| wrong(line))).collect()
}

fn count_all() -> Result<Vec<(String, u64)>, String> {
    check(&mut cargo(BUILD))?;
    let program = target_dir().join("guard").join("seacat-count");
    let (names, _) = output(&mut Command::new(&program))?;
    let once = |name: &str| {
        let [some, more] = TIMES.map(|times| {
            let mut command = Command::new("valgrind");
            command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
            command.arg(&program).args([name, &times.to_string()]);
            collected(&output(&mut command)?.1)
                .ok_or_else(|| format!("{} printed no count", shown(&command)))
        });
        let [fewer, times] = TIMES.map(u64::from);
        Ok(more?.saturating_sub(some?) / (times - fewer))
    };
    let least = |name: &str| {
        let counts = (0..TRIES).map(|_| once(name)).collect::<Result<Vec<_>, String>>()?;
        Ok((name.to_owned(), counts.into_iter().min().unwrap_or_default()))
    };
    names.lines().map(least).collect()
}

/// The number in callgrind's `==123== Collected : 456`.
fn collected(words: &str) -> Option<u64> {
    let (_, number) = words.lines().find_map(|line| line.split_once("Collected : "))?;
    number.trim().parse().ok()
}

/// What a command writes on both its outputs, if it ends well.
fn output(command: &mut Command) -> Result<(String, String), String> {
    let done =
        command.output().map_err(|error| format!("cannot start {}: {error}", shown(command)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    if done.status.success() {
        Ok((out, err))
    } else {
        Err(format!("{} ended with {}\n{err}", shown(command), done.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_table_and_refuses_another() {
        let table = "# words\n# rustc 1.95.0\n\ncodec      14259\n";
        assert_eq!(rows(table), Ok(vec![("codec".to_owned(), 14_259)]));
        assert_eq!(compiler_of(table), "rustc 1.95.0");
        assert!(rows("codec").is_err());
        assert!(rows("codec 0").is_err());
    }

    #[test]
    fn finds_what_callgrind_collected() {
        assert_eq!(collected("==7== \n==7== Collected : 5394353\n"), Some(5_394_353));
        assert_eq!(collected("==7== Events : Ir"), None);
    }
}
