//! What a person calls a program, from its file and its arguments.

use std::path::Path;

use super::Program;

/// Names are cut off here: they come from other programs.
const LONGEST: usize = 80;

/// Programs that run others: how the file is called without its version, the name, and the options
/// that take the next argument as their value.
const INTERPRETERS: [(&str, &str, &[&str]); 9] = [
    ("python", "Python", &["-W", "-X", "--check-hash-based-pycs"]),
    (
        "java",
        "Java",
        &["-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules"],
    ),
    ("node", "Node.js", &["-r", "--require", "--import", "-C", "--conditions"]),
    ("nodejs", "Node.js", &["-r", "--require", "--import", "-C", "--conditions"]),
    ("ruby", "Ruby", &["-C", "-E", "-I", "-r"]),
    ("perl", "Perl", &[]),
    ("php", "PHP", &["-c", "-d", "-z"]),
    ("dotnet", ".NET", &["--depsfile", "--runtimeconfig", "--additionalprobingpath"]),
    ("mono", "Mono", &[]),
];

/// Options before what is run, as a module or a jar.
const NAMES_IT: [&str; 4] = ["-m", "--module", "-jar", "-f"];

/// Options with a program text in place of a file.
const TEXT: [&str; 5] = ["-c", "-e", "-E", "--eval", "-p"];

/// One file with many programs in it: the first argument says which.
const MULTI_CALL: [&str; 2] = ["busybox", "toybox"];

/// The name of a program. `arguments` begin with its own name.
pub(super) fn describe(file: &Path, arguments: &[&str]) -> Program {
    let called = file_name(&file.to_string_lossy()).to_owned();
    let base = called.trim_end_matches(|c: char| c.is_ascii_digit() || ".-".contains(c));
    let name = |name: &str| Program { name: clean(name), runs: None };
    if called.starts_with("git-remote-") {
        return name("git");
    }
    if file.parent().is_some_and(|folder| folder.ends_with("apt/methods")) {
        return name("apt");
    }
    if MULTI_CALL.contains(&base) {
        return name(arguments.first().map_or(called.as_str(), |it| file_name(it)));
    }
    let known = INTERPRETERS.iter().find(|(it, ..)| *it == base);
    let Some((_, title, valued)) = known else { return name(&called) };
    if arguments.iter().any(|it| it.starts_with("-Dmaven.home=")) {
        return name("Maven");
    }
    let runs = script_of(arguments.get(1..).unwrap_or_default(), valued);
    if runs.is_some_and(|it| it.starts_with("org.gradle.")) {
        return name("Gradle");
    }
    Program { name: (*title).to_owned(), runs: runs.map(|it| clean(file_name(it))) }
}

/// The script, module, jar or class that an interpreter executes, by its arguments.
fn script_of<'a>(arguments: &[&'a str], valued: &[&str]) -> Option<&'a str> {
    let mut arguments = arguments.iter().copied();
    while let Some(argument) = arguments.next() {
        if valued.contains(&argument) {
            arguments.next();
        } else if NAMES_IT.contains(&argument) {
            return arguments.next().filter(|it| !it.is_empty());
        } else if TEXT.contains(&argument) {
            return None;
        } else if !argument.starts_with('-') {
            return Some(argument).filter(|it| !it.is_empty());
        }
    }
    None
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Without control characters, which a terminal would obey.
fn clean(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(printable).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(file: &str, line: &str) -> String {
        let arguments: Vec<&str> = line.split(' ').collect();
        let Program { name, runs } = describe(Path::new(file), &arguments);
        runs.map_or(name.clone(), |runs| format!("{name} {runs}"))
    }

    #[test]
    fn programs_have_the_names_that_people_use() {
        for (file, line, name) in [
            ("/usr/bin/curl", "curl -u me:secret http://erp/", "curl"),
            ("/usr/bin/wget", "wget -q http://erp/", "wget"),
            ("/usr/lib/git-core/git-remote-http", "git remote-http origin http://x/", "git"),
            ("/usr/lib/apt/methods/http", "/usr/lib/apt/methods/http", "apt"),
            ("/usr/bin/busybox", "wget http://erp/", "wget"),
            (
                "/usr/bin/python3.11",
                "python3 -W ignore /opt/sync.py --password x",
                "Python sync.py",
            ),
            ("/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/pip install x", "Python pip"),
            ("/usr/bin/python3.13", "python3 -m pip install x", "Python pip"),
            ("/usr/bin/python3.11", "python3 -c import", "Python"),
            ("/usr/bin/python3.11", "python3", "Python"),
            (
                "/usr/lib/jvm/j17/bin/java",
                "java -cp a:b -Xmx1g org.erp.Main x",
                "Java org.erp.Main",
            ),
            ("/usr/lib/jvm/j17/bin/java", "java -jar /opt/erp.jar secret", "Java erp.jar"),
            ("/usr/lib/jvm/j17/bin/java", "java -Dmaven.home=/m -cp x Launcher", "Maven"),
            ("/usr/lib/jvm/j17/bin/java", "java -cp x org.gradle.launcher.Main", "Gradle"),
            ("/usr/bin/node", "node /usr/bin/npm ci", "Node.js npm"),
            ("/usr/bin/node", "node -e secret()", "Node.js"),
            ("/usr/bin/perl", "perl -w report.pl", "Perl report.pl"),
            ("/usr/lib/firefox-esr/firefox-esr", "firefox-esr", "firefox-esr"),
            ("/opt/x\u{1b}[31m", "x", "x?[31m"),
            ("", "", ""),
        ] {
            assert_eq!(named(file, line), name, "{line}");
        }
    }

    #[test]
    fn names_are_short() {
        let long = "x".repeat(300);
        assert_eq!(named(&format!("/opt/{long}"), "").len(), LONGEST);
    }
}
