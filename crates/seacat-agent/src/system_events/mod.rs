//! What the system says about the network, sleep and the clock, as one signal: something has changed,
//! look again.
//!
//! Each system has a file that fills [`Changes`]. Nothing here has a timer, so nothing wakes up while
//! nothing happens.

use tokio::sync::watch;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::listen;
#[cfg(target_os = "linux")]
pub(crate) use linux::readiness;

/// Changes of addresses, routes and links, the end of sleep, and steps of the clock. Many that come
/// together are one.
#[derive(Debug)]
pub struct Changes(watch::Receiver<()>);

impl Changes {
    /// Listens from now on, in a task of its own that ends with the value.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    #[must_use]
    pub fn listen() -> Self {
        let (sender, receiver) = watch::channel(());
        tokio::spawn(listen(sender));
        Self(receiver)
    }

    /// The next change; never where the system says nothing.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Where nothing is listened to yet (Windows: `NotifyIpInterfaceChange` and `WM_POWERBROADCAST`; macOS:
/// `SCNetworkReachability` and `NSWorkspaceDidWakeNotification`), a connection that has died is noticed
/// by the first request that it does not answer.
#[cfg(not(target_os = "linux"))]
async fn listen(changes: watch::Sender<()>) {
    changes.closed().await;
}
