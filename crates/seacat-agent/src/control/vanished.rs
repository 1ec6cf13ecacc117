//! Notices that the control socket has gone from its folder: the runtime folder of a user is removed at
//! logout, also under a proxy that goes on.
//!
//! inotify reports it, so nothing wakes up while all is well. Where there is no inotify, a socket that
//! has gone stays away until the proxy is started again.

use std::path::Path;

#[cfg(target_os = "linux")]
pub(super) use linux::Watch;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    use rustix::io::Errno;
    use tokio::io::unix::AsyncFd;

    use crate::system_events::readiness;

    /// Watches one path.
    pub(crate) struct Watch(AsyncFd<OwnedFd>);

    impl Watch {
        /// Watches the nearest folder above `path` that is there.
        pub(crate) fn new(path: &Path) -> std::io::Result<Self> {
            let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
            let events = WatchFlags::CREATE
                | WatchFlags::MOVED_TO
                | WatchFlags::DELETE
                | WatchFlags::MOVED_FROM
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF;
            add_watch(&inotify, folder.unwrap_or(Path::new("/")), events)?;
            Ok(Self(readiness(inotify)?))
        }

        /// Resolves when something in that folder, or the folder, has come or gone.
        pub(crate) async fn changed(&self) {
            loop {
                let Ok(mut ready) = self.0.readable().await else {
                    return std::future::pending().await;
                };
                let mut events = [0; 4096];
                match rustix::io::read(&self.0, &mut events) {
                    Err(Errno::AGAIN) => ready.clear_ready(),
                    _ => return,
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) struct Watch;

#[cfg(not(target_os = "linux"))]
impl Watch {
    pub(super) fn new(_: &Path) -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn changed(&self) {
        std::future::pending().await
    }
}

/// Resolves when there is nothing at `path` any more. A named pipe is not in a folder, and never goes.
pub(super) async fn vanished(path: &Path) {
    if cfg!(windows) {
        return std::future::pending().await;
    }
    loop {
        // First the watch, then the look: nothing is missed between them.
        let Ok(watch) = Watch::new(path) else {
            return std::future::pending().await;
        };
        if std::fs::symlink_metadata(path).is_err() {
            return;
        }
        watch.changed().await;
    }
}
