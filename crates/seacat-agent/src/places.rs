//! Where things are: the configuration, the state folder, the control socket.
//!
//! | what | Linux | macOS | Windows |
//! |---|---|---|---|
//! | configuration | `~/.config/seacat-proxy` | `~/Library/Application Support/seacat-proxy` | `%APPDATA%\seacat-proxy\config` |
//! | state, logs, lock | `~/.local/state/seacat-proxy` | the same folder | `%LOCALAPPDATA%\seacat-proxy\data` |
//! | control socket | `$XDG_RUNTIME_DIR/seacat-proxy`, else `run` in the state folder | `run` in the state folder | a named pipe |
//! | policy | `/etc/seacat-proxy/policy.d` | | |

use std::io;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use seacat_files::create_private_folder;
use thiserror::Error;

/// The name of our folders.
pub const FOLDER: &str = "seacat-proxy";

/// Why a place cannot be used; each message says what to do.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// Neither a home folder nor an explicit place.
    #[error("this user has no home folder: set HOME, or pass --config and --state-dir")]
    NoHome,
    /// It cannot be made or written.
    #[error("the folder {path} cannot be {doing}: {source}{}", advice(.source))]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// "made", "looked at" or "written to".
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else could reach into it.
    #[error(
        "the folder {path} {fault}: other users could reach what is in it. Remove it or repair it (chmod 700)"
    )]
    Unsafe {
        /// Which folder.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is read-only: give --state-dir on one that can be written"
        }
        io::ErrorKind::PermissionDenied => {
            "; check who owns it, or give another one with --state-dir"
        }
        io::ErrorKind::StorageFull => "; the disk is full",
        _ => "",
    }
}

/// Every place this program uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The user's configuration file; it may be missing.
    pub config_file: PathBuf,
    /// Whether the user named the file.
    pub config_is_named: bool,
    /// The organisation's policy, where this system has one.
    pub policy_dir: Option<PathBuf>,
    /// Lock, log and whatever must outlive a restart.
    pub state_dir: PathBuf,
    /// The folder of the control socket, for its owner alone.
    pub control_dir: PathBuf,
}

/// What the user said about places, on the command line or in the environment.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// `--config` or `SEACAT_PROXY_CONFIG`.
    pub config: Option<PathBuf>,
    /// `--state-dir` or `SEACAT_PROXY_STATE_DIR`.
    pub state_dir: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, when it is absolute.
    pub runtime_dir: Option<PathBuf>,
}

impl Places {
    /// The places for this user. Nothing is made yet.
    ///
    /// # Errors
    /// When there is no home folder and not everything was named.
    pub fn find(named: Named) -> Result<Self, PlaceError> {
        let home = ProjectDirs::from("", "", FOLDER);
        let home = home.as_ref().ok_or(PlaceError::NoHome);
        let config_is_named = named.config.is_some();
        let config_file = match named.config {
            Some(file) => file,
            None => home.as_ref().map_err(|_| PlaceError::NoHome)?.config_dir().join("config.toml"),
        };
        let (state_dir, control_dir) = match (named.state_dir, named.runtime_dir) {
            // Two copies with two state folders need two sockets.
            (Some(state), _) => (state.clone(), state.join("run")),
            (None, runtime) => {
                let home = home?;
                let state = home.state_dir().unwrap_or(home.data_local_dir()).to_owned();
                let control = runtime.map_or_else(|| state.join("run"), |dir| dir.join(FOLDER));
                (state, control)
            }
        };
        let policy_dir =
            cfg!(target_os = "linux").then(|| PathBuf::from("/etc/seacat-proxy/policy.d"));
        Ok(Self { config_file, config_is_named, policy_dir, state_dir, control_dir })
    }

    /// The control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.control_dir.join("control.sock")
    }
}

/// Makes a folder for its owner alone, or accepts the one that is there. Its parents are made too.
///
/// # Errors
/// When it cannot be made.
pub fn make_private_folder(path: &Path) -> Result<(), PlaceError> {
    create_private_folder(path).map_err(|source| PlaceError::Folder {
        path: path.to_owned(),
        doing: "made",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_state_folder_takes_everything_that_changes() {
        let named = Named {
            config: Some("/x/c.toml".into()),
            state_dir: Some("/x/state".into()),
            runtime_dir: Some("/run/user/1".into()),
        };
        let places = Places::find(named).unwrap();
        assert_eq!(places.config_file, Path::new("/x/c.toml"));
        assert!(places.config_is_named);
        assert_eq!(places.control_socket(), Path::new("/x/state/run/control.sock"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_runtime_folder_is_used_when_there_is_one() {
        let find = |runtime: Option<&str>| {
            let named = Named { runtime_dir: runtime.map(PathBuf::from), ..Named::default() };
            Places::find(named).unwrap()
        };
        let with = find(Some("/run/user/1"));
        assert_eq!(with.control_socket(), Path::new("/run/user/1/seacat-proxy/control.sock"));
        let without = find(None);
        assert_eq!(without.control_socket(), without.state_dir.join("run/control.sock"));
        assert!(without.state_dir.ends_with("seacat-proxy"));
        assert!(without.config_file.ends_with("seacat-proxy/config.toml"));
    }

    #[test]
    fn a_folder_under_a_file_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = make_private_folder(&file.join("state")).expect_err("no folder in a file");
        let expected = format!("{} cannot be made", Path::new("file").join("state").display());
        assert!(error.to_string().contains(&expected), "{error}");
    }

    #[test]
    fn a_read_only_home_is_explained() {
        let error = PlaceError::Folder {
            path: "/home/x".into(),
            doing: "made",
            source: io::ErrorKind::ReadOnlyFilesystem.into(),
        };
        assert!(error.to_string().contains("give --state-dir"), "{error}");
    }
}
