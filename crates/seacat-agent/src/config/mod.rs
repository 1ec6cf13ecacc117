//! Configuration: what the person, the environment and the organisation want.
//!
//! ```text
//!   policy.d/*.toml ─┐ highest, locks what it names
//!   command line    ─┤
//!   environment     ─┼─► load ─► Loaded { Config, an Origin per setting, warnings }
//!   config.toml     ─┤                │
//!   defaults        ─┘ lowest         └─► show (text, JSON)      edit ─► config.toml
//! ```
//!
//! There is one table of settings, [`settings::SETTINGS`]: parsing, environment names, `config show`,
//! `config set` and the reference in the documentation are all derived from it. The file never
//! holds a secret; where one is needed, the file names another file that holds it.

pub mod apply;
pub mod check;
pub mod edit;
pub mod elements;
pub mod load;
mod problem;
pub mod schema;
pub mod settings;
pub mod show;
mod value;

pub use load::{Loaded, Origin, Sources};
pub use problem::{Place, Problem, Problems};
pub use schema::Config;

/// For tests: a Unix path as an absolute path of this system.
#[cfg(test)]
pub(crate) fn native_path(path: &str) -> String {
    if cfg!(windows) { format!("C:{path}") } else { path.to_owned() }
}

/// For tests: a text with all its quoted Unix paths as absolute paths of this system.
#[cfg(test)]
pub(crate) fn with_native_paths(text: &str) -> String {
    text.replace("\"/", &format!("\"{}", native_path("/")))
}
