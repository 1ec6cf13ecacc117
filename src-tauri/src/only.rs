//! One window a proxy: a second start hands its wish to the first and ends.
//!
//! The first holds a lock in the state folder, as the proxy does, and listens on a socket beside the
//! proxy's control socket, with the same checks of who is at the other end. So it works without a
//! session bus, and two proxies with two state folders have two windows.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use seacat_agent::control::{Listener, connect};
use seacat_agent::instance::{Instance, InstanceError};
use seacat_agent::places::Places;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::{sleep, timeout};

use crate::StartError;

/// The longest wish: the name of a page, and a token of a few dozen characters.
const MAX_WISH: u64 = 4 * 1024;

/// How long the other side may take for a line.
const LINE: Duration = Duration::from_secs(2);

/// How long a second start tries: the first may still be starting, or about to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// From one try to the next.
const PAUSE: Duration = Duration::from_millis(50);

/// What a start of the window asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// The page to show; the one that is shown, without.
    pub(crate) page: Option<String>,
    /// What lets the window come to the front under Wayland.
    pub(crate) token: Option<String>,
}

/// The right to be the only window.
#[derive(Debug)]
pub(crate) struct Only {
    listener: Listener,
    _instance: Instance,
}

impl Only {
    /// Takes the right, or hands `wish` to the window that has it (`None`).
    pub(crate) async fn claim(places: &Places, wish: &Wish) -> Result<Option<Self>, StartError> {
        let folder = folder(places);
        let socket = places.control_dir.join("window.sock");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Instance::claim(&folder) {
                Ok(instance) => {
                    let listener = Listener::bind(&socket)?;
                    return Ok(Some(Self { listener, _instance: instance }));
                }
                Err(InstanceError::AlreadyRunning { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if hand_over(&socket, wish).await.is_ok() {
                return Ok(None);
            }
            if Instant::now() > deadline {
                return Err(StartError::Silent);
            }
            sleep(PAUSE).await;
        }
    }

    /// Passes on the wishes of later starts for as long as there is a window: `grant` says whether
    /// there is one.
    pub(crate) async fn listen(self, grant: impl AsyncFn(Wish) -> bool) {
        loop {
            match self.listener.accept().await {
                Ok(stream) => {
                    // Without an answer the other start asks again, or becomes the window itself.
                    let _ = timeout(LINE, answer(BufReader::new(stream), &grant)).await;
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

/// What belongs to the window alone: its lock, its size, what WebKit keeps.
pub(crate) fn folder(places: &Places) -> PathBuf {
    places.state_dir.join("window")
}

/// The other end's side of [`answer`]: an error unless the wish was granted.
async fn hand_over(socket: &Path, wish: &Wish) -> io::Result<()> {
    let mut stream = BufReader::new(connect(socket).await?);
    let line = serde_json::to_string(wish)? + "\n";
    stream.write_all(line.as_bytes()).await?;
    stream.flush().await?;
    let mut said = String::new();
    timeout(LINE, stream.take(MAX_WISH).read_line(&mut said)).await??;
    if said == "done\n" { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

async fn answer<S>(mut stream: BufReader<S>, grant: &impl AsyncFn(Wish) -> bool) -> io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut line = String::new();
    (&mut stream).take(MAX_WISH).read_line(&mut line).await?;
    if grant(serde_json::from_str(&line)?).await {
        stream.write_all(b"done\n").await?;
        stream.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn places(folder: &Path) -> Places {
        Places {
            config_file: folder.join("config.toml"),
            config_is_named: true,
            policy_dir: None,
            state_dir: folder.join("state"),
            control_dir: folder.join("state/run"),
        }
    }

    fn wish(page: &str) -> Wish {
        Wish { page: Some(page.to_owned()), token: None }
    }

    #[tokio::test]
    async fn the_second_hands_over_and_the_next_after_the_end_is_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        let first = Only::claim(&places, &wish("overview")).await.unwrap().expect("it is free");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let granted = seen.clone();
        let window = tokio::spawn(first.listen(async move |wish| {
            granted.lock().unwrap().push(wish);
            true
        }));
        assert!(Only::claim(&places, &wish("requests")).await.unwrap().is_none());
        assert!(Only::claim(&places, &wish("identity")).await.unwrap().is_none());
        assert_eq!(*seen.lock().unwrap(), [wish("requests"), wish("identity")]);
        window.abort();
        assert!(window.await.is_err());
        assert!(Only::claim(&places, &wish("overview")).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_wish_that_is_not_granted_becomes_a_window() {
        let folder = tempfile::tempdir().unwrap();
        let places = places(folder.path());
        let first = Only::claim(&places, &wish("overview")).await.unwrap().expect("it is free");
        // The window is closed, and its process is about to end.
        let closing = tokio::spawn(async move {
            tokio::select! {
                () = first.listen(async |_| false) => {}
                () = sleep(PAUSE * 4) => {}
            }
        });
        assert!(Only::claim(&places, &wish("requests")).await.unwrap().is_some());
        closing.await.unwrap();
    }
}
