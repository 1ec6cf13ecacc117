//! Texts to paste that make other programs use the proxy: what `seacat-proxy env` prints and what
//! *Copy settings for* in the menu copies.

use std::net::SocketAddr;

use clap::ValueEnum;

/// Never through the proxy: this machine itself.
const NO_PROXY: &str = "localhost,127.0.0.1,::1";

/// Programs whose settings can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Variables for a shell in the manner of Bourne, which most programs on Linux and macOS read.
    Shell,
    /// The same for PowerShell.
    PowerShell,
    /// curl's option.
    Curl,
    /// git's command.
    Git,
    /// The options of a Java virtual machine.
    Java,
    /// The address of the script for automatic configuration.
    Pac,
}

impl Client {
    /// All of them, in the order of the menu.
    pub const ALL: [Client; 6] =
        [Client::Shell, Client::PowerShell, Client::Curl, Client::Git, Client::Java, Client::Pac];

    /// What people call it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Client::Shell => "Shell",
            Client::PowerShell => "PowerShell",
            Client::Curl => "curl",
            Client::Git => "git",
            Client::Java => "Java",
            Client::Pac => "PAC URL",
        }
    }

    /// The text to paste, for a proxy that listens at `proxy`.
    #[must_use]
    pub fn text(self, proxy: SocketAddr) -> String {
        match self {
            Client::Shell => assignments(Shell::Bash, proxy).join("\n") + "\n",
            Client::PowerShell => assignments(Shell::Powershell, proxy).join("\n") + "\n",
            Client::Curl => format!("curl -x http://{proxy} "),
            Client::Git => format!("git config --global http.proxy http://{proxy}"),
            Client::Java => {
                let (ip, port) = (proxy.ip(), proxy.port());
                format!("-Dhttp.proxyHost={ip} -Dhttp.proxyPort={port}")
            }
            Client::Pac => format!("http://{proxy}/proxy.pac"),
        }
    }
}

/// The shells whose syntax we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// And every other shell in the manner of Bourne
    #[value(alias = "sh", alias = "zsh")]
    Bash,
    /// Friendly
    Fish,
    /// On every system
    #[value(alias = "pwsh")]
    Powershell,
    /// The Windows command prompt
    Cmd,
}

/// The lines that set the variables in a shell and for what it starts.
#[must_use]
pub fn assignments(shell: Shell, proxy: SocketAddr) -> [String; 3] {
    let proxy = format!("http://{proxy}");
    [("http_proxy", &*proxy), ("https_proxy", &*proxy), ("no_proxy", NO_PROXY)]
        .map(|(name, value)| assignment(shell, name, value))
}

fn assignment(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Bash => format!("export {name}={}", bourne(value)),
        Shell::Fish => format!("set -gx {name} {}", fish(value)),
        Shell::Powershell => format!("$env:{name} = {}", powershell(value)),
        Shell::Cmd => format!("set \"{name}={}\"", cmd(value)),
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

    #[test]
    fn every_client_gets_what_it_can_use() {
        let four = Client::ALL.map(|client| client.text(([127, 0, 0, 1], 3128).into()));
        assert!(four[0].starts_with("export http_proxy='http://127.0.0.1:3128'\n"), "{}", four[0]);
        assert!(four[1].starts_with("$env:http_proxy = 'http://127.0.0.1:3128'\n"), "{}", four[1]);
        assert_eq!(
            four[2..],
            [
                "curl -x http://127.0.0.1:3128 ",
                "git config --global http.proxy http://127.0.0.1:3128",
                "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128",
                "http://127.0.0.1:3128/proxy.pac",
            ]
        );
        let six = "[::1]:3128".parse().unwrap();
        assert_eq!(Client::Java.text(six), "-Dhttp.proxyHost=::1 -Dhttp.proxyPort=3128");
        assert_eq!(Client::Pac.text(six), "http://[::1]:3128/proxy.pac");
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
