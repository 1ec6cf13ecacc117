//! The manual pages: one for each command, made of the same definitions as `--help`.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Cli, CliError};
use crate::exit::Exit;

/// Files and folders, for the page of the whole program.
const FILES: &[(&str, &str)] = &[
    ("~/.config/seacat-proxy/config.toml", "The settings of a user."),
    ("/etc/seacat-proxy/policy.d/*.toml", "Settings that an administrator has fixed for all users."),
    ("~/.local/state/seacat-proxy/", "Lock, log, and what has to outlive a restart."),
    ("$XDG_RUNTIME_DIR/seacat-proxy/", "The control socket, for its owner alone."),
];

/// Writes all of them into `folder`, which is there.
pub(super) fn man(folder: &Path) -> Result<Exit, CliError> {
    let failed = |source| CliError::System { doing: "write the manual pages", source };
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    clap_mangen::generate_to(program.clone().mut_subcommands(without_globals), folder)
        .map_err(failed)?;
    let page = page(program).map_err(failed)?;
    fs::write(folder.join("seacat-proxy.1"), page).map_err(failed)?;
    Ok(Exit::Ok)
}

/// The options that every command has are described once, in the page of the program.
fn without_globals(command: Command) -> Command {
    command
        .mut_args(|argument| match argument.is_global_set() {
            true => argument.hide(true),
            false => argument,
        })
        .mut_subcommands(without_globals)
        .after_help("The options that all commands have are in seacat-proxy(1).")
}

/// The page of the program: what clap knows, then exit codes and files under their usual headings.
fn page(program: Command) -> std::io::Result<Vec<u8>> {
    let man = Man::new(program);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::ALL {
        rest.control("TP", []).text([bold((exit as u8).to_string())]).text([roman(meaning)]);
    }
    rest.control("SH", ["FILES"]);
    for (path, what) in FILES {
        rest.control("TP", []).text([bold(*path)]).text([roman(*what)]);
    }
    rest.control("SH", ["SEE ALSO"]).text([roman("seacat-gateway(1)")]);
    rest.to_writer(&mut page)?;
    Ok(page)
}
