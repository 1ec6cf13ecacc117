//! Copying without a toolkit.
//!
//! Under X11 and under most Wayland compositors a clipboard is no store: who copied has to answer
//! whoever pastes. A thread of the library does that from the first copy on; it sleeps until it is
//! asked.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;

/// The clipboard, connected to when it is used first.
#[derive(Clone, Default)]
pub(super) struct Clipboard(Arc<Mutex<Option<arboard::Clipboard>>>);

impl Clipboard {
    /// Puts `text` there. Away from the event loop: a display that hangs must not hold up requests.
    pub(super) async fn copy(&self, text: String) -> Result<(), arboard::Error> {
        let clipboard = self.clone();
        let copied = spawn_blocking(move || clipboard.copy_now(text)).await;
        copied
            .unwrap_or_else(|error| Err(arboard::Error::Unknown { description: error.to_string() }))
    }

    fn copy_now(&self, text: String) -> Result<(), arboard::Error> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clipboard) = slot.as_mut()
            && clipboard.set_text(&*text).is_ok()
        {
            return Ok(());
        }
        // The first time, or the display has been restarted since.
        *slot = None;
        let mut clipboard = arboard::Clipboard::new()?;
        clipboard.set_text(text)?;
        *slot = Some(clipboard);
        Ok(())
    }
}
