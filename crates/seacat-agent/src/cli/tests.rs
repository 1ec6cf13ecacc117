use super::*;
use crate::config::with_native_paths;
use clap::CommandFactory as _;

/// A command line, its exit code, what it printed and what it complained about.
fn run(args: &[&str]) -> (Exit, String, String) {
    let args = std::iter::once("seacat-proxy").chain(args.iter().copied()).map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = main(args, &mut out, &mut err);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// As [`run`], in a folder of its own. (No policy is assumed on the machine that runs the tests.)
fn run_in(folder: &std::path::Path, args: &[&str]) -> (Exit, String, String) {
    let (config, state) = (folder.join("config.toml"), folder.join("state"));
    let places = ["--config", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
    run(&[&places, args].concat())
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn exit_codes_are_documented_and_never_renumbered() {
    let (exit, help, _) = run(&["--help"]);
    assert_eq!(exit, Exit::Ok);
    let codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| *exit as u8).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
    for (exit, why) in Exit::ALL {
        assert!(help.contains(&format!("{:>3}  {why}", exit as u8)), "{why}");
    }
}

#[test]
fn command_lines_and_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), "[proxy]\nport = 4321\n").unwrap();
    for (args, expected, said) in [
        (&["nonsense"][..], Exit::Usage, "unrecognized subcommand"),
        (&[], Exit::Usage, "Usage"),
        (&["--version"], Exit::Ok, "seacat-proxy"),
        (&["run", "--port", "70000"], Exit::Usage, "70000"),
        (&["config", "show", "--set", "proxy.prot=1"], Exit::Usage, "did you mean `proxy.port`?"),
        (&["config", "show", "--set", "proxy.port"], Exit::Usage, "KEY=VALUE"),
        (&["config", "show", "--set", "channel.wait=soon"], Exit::Config, "--set: channel.wait"),
        (&["config", "show", "--gateway", "gw:0"], Exit::Config, "--gateway: gateway"),
        (&["config", "check"], Exit::Ok, "configuration OK"),
        (&["config", "path"], Exit::Ok, "control.sock"),
        (&["config", "set", "proxy.prot", "1"], Exit::Config, "did you mean `proxy.port`?"),
        (&["status"], Exit::NotRunning, "seacat-proxy run"),
        (&["connect"], Exit::NotRunning, "no proxy is running"),
        (&["env", "--shell", "fish"], Exit::Ok, "set -gx http_proxy 'http://127.0.0.1:4321'"),
        (&["env", "--shell", "zsh"], Exit::Ok, "export https_proxy='http://127.0.0.1:4321'"),
        (&["env", "--port", "0"], Exit::Config, "known only while the proxy is running"),
        (&["gateway", "test"], Exit::Config, "no gateway is configured"),
        (&["gateway", "test", "https://x"], Exit::Usage, "does not end in a port"),
        (&["gateway", "test", "a b"], Exit::Usage, "is not a host name"),
        (&["completions", "bash"], Exit::Ok, "complete -F _seacat__proxy"),
    ] {
        let (exit, out, err) = run_in(folder.path(), args);
        assert_eq!(exit, expected, "{args:?}: {out}{err}");
        assert!(out.contains(said) || err.contains(said), "{args:?}: {out}{err}");
    }
}

#[test]
fn options_are_shown_with_their_origin() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), "").unwrap();
    let args = ["config", "show", "--port", "0", "--gateway", "a", "--gateway", "b:1", "--json"];
    let (exit, out, err) = run_in(folder.path(), &args);
    assert_eq!(exit, Exit::Ok, "{err}");
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    let row =
        |key: &str| rows.as_array().unwrap().iter().find(|r| r["key"] == key).unwrap().clone();
    assert_eq!(row("proxy.port")["origin"], "command line --port");
    assert_eq!(row("gateway")["value"][1]["port"], 1);
    assert_eq!(row("log.level")["origin"], "default");
}

#[test]
fn set_repairs_what_is_wrong_and_check_names_missing_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "# kept\n[log]\nlevel = \"loud\"\n").unwrap();
    let (exit, _, err) = run_in(folder.path(), &["config", "check"]);
    assert_eq!(exit, Exit::Config);
    assert!(err.contains("config.toml:3:9: `log.level` must be one of"), "{err}");
    let (exit, out, err) = run_in(folder.path(), &["config", "set", "log.level", "warn"]);
    assert_eq!((exit, out.as_str()), (Exit::Ok, "saved\n"), "{err}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# kept\n[log]\nlevel = \"warn\"\n");

    let gateway = with_native_paths("[{host = \"gw\", ca_file = \"/does/not/exist.pem\"}]");
    assert_eq!(run_in(folder.path(), &["config", "set", "gateway", &gateway]).0, Exit::Ok);
    let (exit, _, err) = run_in(folder.path(), &["config", "check"]);
    assert_eq!(exit, Exit::Config);
    assert!(err.contains("/does/not/exist.pem cannot be read"), "{err}");
    assert_eq!(run_in(folder.path(), &["config", "unset", "gateway"]).0, Exit::Ok);
    assert_eq!(run_in(folder.path(), &["config", "check"]).0, Exit::Ok);
}

/// A reader that left, as `head` does.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let args = ["seacat-proxy", "completions", "fish"].map(OsString::from);
    let mut err = Vec::new();
    assert_eq!(main(args, &mut Gone, &mut err), Exit::Ok);
    assert!(err.is_empty());
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", folder.path().to_str().unwrap()]).0, Exit::Ok);
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let whole = page("seacat-proxy.1");
    for word in ["EXIT STATUS", "FILES", "seacat\\-proxy\\-identity(1)", "\\-\\-state\\-dir"] {
        assert!(whole.contains(word), "{word} is not in {whole}");
    }
    assert!(!whole.contains("\\-man(1)"), "for those who make packages alone");
    let import = page("seacat-proxy-identity-import.1");
    assert!(import.contains("\\-\\-password\\-file"), "{import}");
    assert!(!import.contains("\\-\\-state\\-dir"), "described once, in the program's page");
    let count = count_visible(&Cli::command());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), count);
}

fn count_visible(command: &clap::Command) -> usize {
    let visible = command.get_subcommands().filter(|it| !it.is_hide_set());
    1 + visible.map(count_visible).sum::<usize>()
}
