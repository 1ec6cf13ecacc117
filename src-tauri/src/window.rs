//! The window itself: made once, shown again when asked for, the end of the program when closed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use seacat_agent::places::Places;
use serde::{Deserialize, Serialize};
use tauri::webview::PageLoadEvent;
use tauri::{
    AppHandle, Emitter as _, LogicalSize, Manager as _, RunEvent, WebviewUrl, WebviewWindow,
    WebviewWindowBuilder, WindowEvent,
};
use tokio::sync::oneshot;

use crate::StartError;
use crate::commands::{self, Clipboard, KeyFile, Wanted};
use crate::engine::Engine;
use crate::only::{self, Only, Wish};
use crate::stream::Streams;

/// The one window's name; `capabilities/window.json` knows it.
const LABEL: &str = "main";

/// The event that asks the pages to show one of them.
const PAGE: &str = "page";

/// Where the system's locale is C or POSIX, WebKit calls the language "C", and `Intl` throws at that name.
const LANGUAGE: &str = "
try {
  new Intl.Locale(navigator.language);
} catch {
  Object.defineProperty(Navigator.prototype, 'language', { get: () => 'en' });
  Object.defineProperty(Navigator.prototype, 'languages', { get: () => ['en'] });
}
";

/// How large it is, in logical pixels, and whether it fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Size {
    width: f64,
    height: f64,
    maximized: bool,
}

impl Size {
    const FIRST: Self = Self { width: 920.0, height: 640.0, maximized: false };
    const LEAST: (f64, f64) = (640.0, 480.0);
    /// Wider than any screen: a file somebody has edited.
    const MOST: f64 = 16_384.0;

    fn file(folder: &Path) -> PathBuf {
        folder.join("size.json")
    }

    /// As it was last time; the first size where that is not known.
    fn load(folder: &Path) -> Self {
        let text = fs::read(Self::file(folder)).unwrap_or_default();
        let size: Self = serde_json::from_slice(&text).unwrap_or(Self::FIRST);
        let within = |length: f64, least: f64| length.clamp(least, Self::MOST);
        Self {
            width: within(size.width, Self::LEAST.0),
            height: within(size.height, Self::LEAST.1),
            ..size
        }
    }

    /// For next time. A full disk costs no more than the memory of a size.
    fn save(self, folder: &Path) {
        if let Ok(text) = serde_json::to_vec(&self) {
            let _ = fs::write(Self::file(folder), text);
        }
    }
}

/// Shows the window until it is closed.
pub(crate) fn run(
    only: Only,
    places: &Places,
    wish: Wish,
    arguments: Vec<OsString>,
) -> Result<(), StartError> {
    #[cfg(target_os = "linux")]
    gtk::init().map_err(|_| StartError::NoDisplay)?;
    let folder = only::folder(places);
    let kept = folder.clone();
    let app = tauri::Builder::default()
        .manage(Engine::new(places.control_socket(), arguments))
        .manage(Streams::default())
        .manage(Clipboard::default())
        .manage(KeyFile::default())
        .manage(Wanted(Mutex::new(wish.page)))
        .invoke_handler(tauri::generate_handler![
            commands::ask,
            commands::open,
            commands::close,
            commands::engine,
            commands::start_engine,
            commands::import_file,
            commands::read_ca,
            commands::copy,
            commands::save,
            commands::page,
            commands::ready,
            commands::close_window,
        ])
        .setup(move |app| {
            make(app.handle(), &kept)?;
            let app = app.handle().clone();
            tauri::async_runtime::spawn(only.listen(async move |wish| grant(&app, wish).await));
            Ok(())
        })
        .build(tauri::generate_context!())?;
    app.run_return(move |app, event| match event {
        RunEvent::WindowEvent { event: WindowEvent::CloseRequested { .. }, .. } => {
            if let Some(window) = app.get_webview_window(LABEL) {
                remember(&window, &folder);
            }
        }
        RunEvent::Exit => {
            let clipboard = app.state::<Clipboard>();
            drop(clipboard.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        _ => {}
    });
    Ok(())
}

fn make(app: &AppHandle, folder: &Path) -> tauri::Result<()> {
    let size = Size::load(folder);
    WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title("SeaCat Proxy")
        .inner_size(size.width, size.height)
        .min_inner_size(Size::LEAST.0, Size::LEAST.1)
        .maximized(size.maximized)
        .data_directory(folder.join("webview"))
        .zoom_hotkeys_enabled(true)
        .initialization_script(LANGUAGE)
        // Shown when the pages say that there is something to see, see `commands::ready`.
        .visible(false)
        .on_page_load(|window, load| match load.event() {
            PageLoadEvent::Started => window.state::<Streams>().close_all(),
            PageLoadEvent::Finished => show_at_last(window.app_handle()),
        })
        // Nothing but our own pages, whatever a page says.
        .on_navigation(|url| url.scheme() == "tauri" || url.host_str() == Some("tauri.localhost"))
        .build()?;
    Ok(())
}

/// Pages that are broken do not say that they are ready, and a window that never appears says less.
fn show_at_last(app: &AppHandle) {
    /// Longer than the first status takes to come on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(10);
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        tokio::time::sleep(PATIENCE).await;
        if let Some(window) = app.get_webview_window(LABEL) {
            let _ = window.show();
        }
    });
}

fn remember(window: &WebviewWindow, folder: &Path) {
    let (Ok(size), Ok(scale)) = (window.inner_size(), window.scale_factor()) else { return };
    let LogicalSize { width, height } = size.to_logical(scale);
    let maximized = window.is_maximized().unwrap_or(false);
    // The size it goes back to is the one before it filled the screen.
    let size = if maximized { Size::load(folder) } else { Size { width, height, maximized } };
    Size { maximized, ..size }.save(folder);
}

/// Does what a later start asked for; whether there was a window to do it.
async fn grant(app: &AppHandle, wish: Wish) -> bool {
    let (done, shown) = oneshot::channel();
    let handle = app.clone();
    let asked = app.run_on_main_thread(move || {
        let _ = done.send(show(&handle, wish));
    });
    asked.is_ok() && shown.await.unwrap_or(false)
}

fn show(app: &AppHandle, wish: Wish) -> bool {
    let Some(window) = app.get_webview_window(LABEL) else { return false };
    if let Some(page) = wish.page {
        // Both: the pages may not listen yet.
        let wanted = app.state::<Wanted>();
        *wanted.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(page.clone());
        let _ = window.emit(PAGE, page);
    }
    let _ = window.unminimize();
    come_to_the_front(&window, wish.token);
    true
}

#[cfg(target_os = "linux")]
fn come_to_the_front(window: &WebviewWindow, token: Option<String>) {
    use gtk::prelude::GtkWindowExt as _;
    if let (Ok(window), Some(token)) = (window.gtk_window(), token) {
        window.set_startup_id(&token);
    }
    let _ = window.set_focus();
}

#[cfg(not(target_os = "linux"))]
fn come_to_the_front(window: &WebviewWindow, _token: Option<String>) {
    let _ = window.set_focus();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_kept_within_reason() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Size::load(folder.path()), Size::FIRST);
        let size = Size { width: 1000.0, height: 700.0, maximized: true };
        size.save(folder.path());
        assert_eq!(Size::load(folder.path()), size);
        Size { width: 1.0, height: 1e9, maximized: false }.save(folder.path());
        let least = Size { width: 640.0, height: Size::MOST, maximized: false };
        assert_eq!(Size::load(folder.path()), least);
        fs::write(Size::file(folder.path()), "no").unwrap();
        assert_eq!(Size::load(folder.path()), Size::FIRST);
    }
}
