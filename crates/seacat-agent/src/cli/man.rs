//! The manual pages: one for each command, made of the same definitions as `--help`.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Cli, CliError};
use crate::exit::Exit;

/// Files and folders, for the page of the whole program.
const FILES: &[(&str, &str)] = &[
    ("~/.config/seacat-proxy/config.toml", "The user's settings."),
    (
        "/etc/seacat-proxy/policy.d/*.toml",
        "Settings that the administrator enforces for all users.",
    ),
    ("~/.local/state/seacat-proxy/", "Log, lock, and data kept across restarts."),
    ("$XDG_RUNTIME_DIR/seacat-proxy/", "The control socket, accessible to its owner only."),
];

/// Writes all of them into `folder`, which is there.
pub(super) fn man(folder: &Path) -> Result<Exit, CliError> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    pages(&program, true, folder)
        .map_err(|source| CliError::System { doing: "write the manual pages", source })?;
    Ok(Exit::Ok)
}

/// The page of a command and those of its subcommands.
fn pages(command: &Command, whole: bool, folder: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        pages(subcommand, false, folder)?;
    }
    let man = Man::new(if whole { command.clone() } else { own_options(command) })
        .source(concat!("seacat-proxy ", env!("CARGO_PKG_VERSION")))
        .manual("SeaCat Proxy");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    if whole { about_the_program() } else { see_also() }.to_writer(&mut page)?;
    fs::write(folder.join(man.get_filename()), page)
}

/// The options that every command has are described once, in the page of the program.
fn own_options(command: &Command) -> Command {
    command.clone().mut_args(|argument| {
        let everywhere = argument.is_global_set();
        argument.hide(everywhere)
    })
}

fn see_also() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("seacat-proxy"), roman("(1), for the options common to all commands")]);
    roff
}

fn about_the_program() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::ALL {
        roff.control("TP", []).text([bold((exit as u8).to_string())]).text([roman(meaning)]);
    }
    roff.control("SH", ["FILES"]);
    for (path, what) in FILES {
        roff.control("TP", []).text([bold(*path)]).text([roman(*what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("seacat-gateway"), roman("(1)")]);
    roff
}
