//! `env`: lines for a shell that make other programs use the proxy.

use std::io::Write;
use std::net::SocketAddr;

use super::args::Shell;
use super::{CliError, Here, control, runtime};
use crate::control::{Answer, Request};
use crate::exit::Exit;

/// Never through the proxy: this machine itself.
const NO_PROXY: &str = "localhost,127.0.0.1,::1";

pub(super) fn env(
    here: &Here,
    shell: Option<Shell>,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let shell = shell.unwrap_or_else(guess);
    let proxy = format!("http://{}", address(here)?);
    for (name, value) in [("http_proxy", &*proxy), ("https_proxy", &*proxy), ("no_proxy", NO_PROXY)]
    {
        writeln!(out, "{}", assignment(shell, name, value))?;
    }
    if let Some(hint) = hint(shell) {
        writeln!(out, "{hint}")?;
    }
    Ok(Exit::Ok)
}

/// Where the running proxy listens, else where it would.
fn address(here: &Here) -> Result<SocketAddr, CliError> {
    let running = runtime()?.block_on(async {
        match control::client(here).await?.ask(Request::Status).await? {
            Answer::Status { status } => Ok(status.local.proxy.first().copied()),
            other => Err(CliError::Unexpected(other)),
        }
    });
    if let Ok(Some(address)) = running {
        return Ok(address);
    }
    let config = here.load()?.config.proxy;
    match (config.listen.first(), config.port) {
        (_, 0) | (None, _) => Err(CliError::Config(
            "proxy.port is 0, so the port is known only while the proxy runs".to_owned(),
        )),
        (Some(ip), port) => Ok((*ip, port).into()),
    }
}

/// The shell this was most likely called from.
fn guess() -> Shell {
    if cfg!(windows) {
        return Shell::Powershell;
    }
    let shell = std::env::var_os("SHELL").map(std::path::PathBuf::from).unwrap_or_default();
    match shell.file_name().and_then(|name| name.to_str()) {
        Some("fish") => Shell::Fish,
        Some("pwsh") => Shell::Powershell,
        _ => Shell::Bash,
    }
}

/// One line that sets a variable in the shell and for what it starts.
fn assignment(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Bash => format!("export {name}={}", bourne(value)),
        Shell::Fish => format!("set -gx {name} {}", fish(value)),
        Shell::Powershell => format!("$env:{name} = {}", powershell(value)),
        Shell::Cmd => format!("set \"{name}={}\"", cmd(value)),
    }
}

/// How to use the lines, as a comment of that shell.
fn hint(shell: Shell) -> Option<&'static str> {
    match shell {
        Shell::Bash => Some("# to apply: eval \"$(seacat-proxy env --shell bash)\""),
        Shell::Fish => Some("# to apply: seacat-proxy env --shell fish | source"),
        Shell::Powershell => {
            Some("# to apply: seacat-proxy env --shell powershell | Out-String | Invoke-Expression")
        }
        // Pasted as they are; a comment would be one more line to paste.
        Shell::Cmd => None,
    }
}

/// Single quotes; a quote inside ends them, stands escaped, and begins them anew.
fn bourne(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Single quotes, in which only `\` and `'` mean something.
fn fish(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Single quotes, doubled inside. PowerShell takes typographic quotes for quotes too.
fn powershell(value: &str) -> String {
    let mut quoted = String::from("'");
    for c in value.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201B}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// Within `set "…"` only `%` means something; `^` cannot escape it there, doubling does in a batch
/// file. Our values hold neither.
fn cmd(value: &str) -> String {
    value.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_gets_its_own_quotes() {
        for (shell, plain, odd) in [
            (Shell::Bash, "export a='http://[::1]:3128'", r"export a='it'\''s $x \ `y`'"),
            (Shell::Fish, "set -gx a 'http://[::1]:3128'", r"set -gx a 'it\'s $x \\ `y`'"),
            (Shell::Powershell, "$env:a = 'http://[::1]:3128'", r"$env:a = 'it''s $x \ `y`'"),
            (Shell::Cmd, "set \"a=http://[::1]:3128\"", r#"set "a=it's $x \ `y`""#),
        ] {
            assert_eq!(assignment(shell, "a", "http://[::1]:3128"), plain);
            assert_eq!(assignment(shell, "a", r"it's $x \ `y`"), odd);
        }
        assert_eq!(powershell("a\u{2019}b"), "'a\u{2019}\u{2019}b'");
        assert_eq!(cmd("100%"), "100%%");
    }

    /// The real shell reads back what was meant.
    #[cfg(unix)]
    #[test]
    fn a_real_shell_agrees() {
        for value in ["http://127.0.0.1:3128", r#"it's "odd" $HOME \ `id` !"#, "two\nlines"] {
            let script = format!("{}\nprintf %s \"$a\"", assignment(Shell::Bash, "a", value));
            let run = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(run.stdout).unwrap(), value);
        }
    }
}
