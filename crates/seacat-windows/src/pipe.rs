//! Named pipes for one user.

use std::io;
use std::os::windows::io::AsHandle;

use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;

use crate::security::{self, Descriptor, own_user};

/// Creates an instance of the pipe `name`, which belongs to our user and can be opened on this computer by
/// `user` (a SID) alone; the system turns away everyone else. With `first`, it is an error when the pipe
/// exists, whichever user created it.
///
/// # Errors
/// What the system says; access denied when `first` is set and the pipe exists.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn create(name: &str, user: &str, first: bool) -> io::Result<NamedPipeServer> {
    let me = own_user()?;
    // P: nothing is inherited. GA: every right.
    let descriptor = Descriptor::parse(&format!("O:{me}D:P(A;;GA;;;{user})"))?;
    let mut attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(u32::MAX),
        lpSecurityDescriptor: descriptor.as_ptr(),
        bInheritHandle: 0,
    };
    let mut options = ServerOptions::new();
    options.first_pipe_instance(first).reject_remote_clients(true);
    // SAFETY: the attributes and the descriptor they point at are valid, and alive during the call.
    unsafe { options.create_with_security_attributes_raw(name, (&raw mut attributes).cast()) }
}

/// The user that owns the pipe, as a SID: only that user, or one who may take over anything, can have
/// created it.
///
/// # Errors
/// What the system says.
pub fn owner(pipe: &impl AsHandle) -> io::Result<String> {
    security::of_pipe(pipe.as_handle()).map(|(_, owner)| owner)
}

/// The pipe's owner and access list, as SDDL.
///
/// # Errors
/// What the system says.
pub fn descriptor(pipe: &impl AsHandle) -> io::Result<String> {
    security::of_pipe(pipe.as_handle())?.0.sddl()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::windows::named_pipe::ClientOptions;

    use super::*;

    /// No user is a member of this group until an administrator adds one: Cryptographic Operators.
    const NOT_US: &str = "S-1-5-32-569";

    /// A name that no other test has.
    fn name(test: &str) -> String {
        format!(r"\\.\pipe\seacat-windows-{test}-{}", std::process::id())
    }

    #[tokio::test]
    async fn the_pipe_is_ours_alone() {
        let me = own_user().unwrap();
        let server = create(&name("ours"), &me, true).unwrap();
        // FA: what GA means for a file. Wine leaves it as it was given.
        let found = descriptor(&server).unwrap().replace(";GA;", ";FA;");
        assert_eq!(found, format!("O:{me}D:P(A;;FA;;;{me})"));
        let mut client = ClientOptions::new().open(name("ours")).unwrap();
        assert_eq!(owner(&client).unwrap(), me);
        server.connect().await.unwrap();
        client.write_all(b"x").await.unwrap();
        let mut server = server;
        assert_eq!(server.read_u8().await.unwrap(), b'x');
        drop(server);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the end, and no error");
    }

    #[tokio::test]
    #[ignore = "for a real Windows: Wine 8 does not look at a pipe's access list"]
    async fn another_user_is_turned_away_by_the_system() {
        let _server = create(&name("theirs"), NOT_US, true).unwrap();
        let error = ClientOptions::new().open(name("theirs")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[tokio::test]
    #[ignore = "for a real Windows: Wine 8 does not know FILE_FLAG_FIRST_PIPE_INSTANCE"]
    async fn a_pipe_that_exists_is_not_joined() {
        let me = own_user().unwrap();
        let _first = create(&name("first"), &me, true).unwrap();
        let error = create(&name("first"), &me, true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        create(&name("first"), &me, false).unwrap();
    }
}
