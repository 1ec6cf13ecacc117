//! The control channel on Windows: a named pipe.
//!
//! Its name comes from the user and from the path that the socket has on other systems, so that two
//! copies with two state folders have two pipes. The system lets nobody but the owner open it, and nobody
//! over the network; a client looks at who owns it before it writes.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use seacat_windows::{own_user, pipe};
use thiserror::Error;
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::places::{PlaceError, make_private_folder};

/// A connection to the running proxy.
pub type Stream = NamedPipeClient;

/// ERROR_PIPE_BUSY: between two clients there is a moment without an instance to connect to.
const PIPE_BUSY: i32 = 231;

/// From one try to the next while the pipe is busy.
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no control channel.
#[derive(Debug, Error)]
pub enum BindError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The system refuses, or another process has a pipe of this name.
    #[error("cannot create the named pipe {name}: {source}")]
    Io {
        /// Its name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
}

/// The pipe while it is listened on.
#[derive(Debug)]
pub struct Listener {
    name: String,
    /// Who may connect, as a SID: we ourselves.
    user: String,
    /// The instance that the next client connects to.
    next: Mutex<NamedPipeServer>,
    path: PathBuf,
}

impl Listener {
    /// Creates the pipe that stands for the socket at `path`.
    ///
    /// # Errors
    /// When the folder cannot be made, or another process has the pipe.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { name: path.display().to_string(), source };
        if let Some(folder) = path.parent() {
            make_private_folder(folder)?;
        }
        let user = own_user().map_err(failed)?;
        let name = name(path, &user).map_err(failed)?;
        let failed = |source| BindError::Io { name: name.clone(), source };
        let next = Mutex::new(pipe::create(&name, &user, true).map_err(failed)?);
        Ok(Self { name, user, next, path: path.to_owned() })
    }

    /// The next client. The system has turned away those of other users.
    ///
    /// # Errors
    /// When a client left at once, or no further instance of the pipe can be created.
    pub async fn accept(&self) -> io::Result<NamedPipeServer> {
        let mut next = self.next.lock().await;
        if let Err(error) = next.connect().await {
            next.disconnect()?;
            return Err(error);
        }
        let after = pipe::create(&self.name, &self.user, false)?;
        Ok(mem::replace(&mut *next, after))
    }

    /// What it stands for.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Connects to the pipe that stands for the socket at `path`, if we ourselves listen there.
///
/// # Errors
/// Not found when there is no pipe, permission denied when it is another user's, timed out when it has
/// been busy for [`ANSWER_LIMIT`](super::client::ANSWER_LIMIT).
pub async fn connect(path: &Path) -> io::Result<Stream> {
    connect_to(path, &own_user()?).await
}

/// Connects if `owner` listens there.
pub(super) async fn connect_to(path: &Path, owner: &str) -> io::Result<Stream> {
    let name = name(path, &own_user()?)?;
    let began = Instant::now();
    let stream = loop {
        match ClientOptions::new().open(&name) {
            Err(error) if error.raw_os_error() == Some(PIPE_BUSY) => {
                if began.elapsed() > super::client::ANSWER_LIMIT {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, error));
                }
                sleep(PAUSE).await;
            }
            opened => break opened?,
        }
    };
    if pipe::owner(&stream)? != owner {
        let message = "another user listens on the control channel";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(stream)
}

/// The pipe's name. Its folder must exist: one folder has one name here, however it was written.
fn name(path: &Path, user: &str) -> io::Result<String> {
    let folder = fs::canonicalize(path.parent().unwrap_or(path))?;
    let file = path.file_name().unwrap_or(OsStr::new(""));
    let path = folder.join(file).to_string_lossy().to_lowercase();
    Ok(format!(r"\\.\pipe\seacat-proxy-{user}-{:016x}", fnv1a(path.as_bytes())))
}

/// FNV-1a with 64 bits: the same in every version of this program, which the standard library's hash is
/// not. A collision would need two state folders of one user, and is refused when the second starts.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of the FNV specification (draft-eastlake-fnv, appendix C).
    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_folder_has_one_pipe_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("Run")).unwrap();
        let of = |folder: PathBuf| name(&folder.join("control.sock"), "S-1").unwrap();
        let one = of(folder.path().join("Run"));
        assert_eq!(of(folder.path().join("rUN")), one);
        assert_eq!(of(folder.path().join("Run").join("..").join("Run")), one);
        assert_ne!(name(&folder.path().join("Run").join("window.sock"), "S-1").unwrap(), one);
        assert!(name(&folder.path().join("missing").join("control.sock"), "S-1").is_err());
    }
}
