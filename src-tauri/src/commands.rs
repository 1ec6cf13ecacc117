//! What the pages can ask of the shell. Each is allowed by name in `capabilities/window.json`.
//!
//! An error is a sentence for a person; the pages show it as it is.

#![allow(clippy::needless_pass_by_value, reason = "Tauri hands over what commands ask for")]

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use seacat_agent::control::{Answer, Request, Secret};
use tauri::ipc::Channel;
use tauri::{State, WebviewWindow};

use crate::engine::Engine;
use crate::files::{self, Saved};
use crate::stream::Streams;

/// The page that was asked for last, by this start or a later one.
#[derive(Debug)]
pub(crate) struct Wanted(pub(crate) Mutex<Option<String>>);

/// The clipboard, connected to when it is used first. Under X11 it is served from this process; when
/// it is dropped, a clipboard manager takes over.
#[derive(Default)]
pub(crate) struct Clipboard(pub(crate) Mutex<Option<arboard::Clipboard>>);

type Said<T> = Result<T, String>;

fn words(error: impl ToString) -> String {
    error.to_string()
}

/// One request to the engine.
#[tauri::command]
pub(crate) async fn ask(engine: State<'_, Engine>, request: Request) -> Said<Answer> {
    engine.ask(request).await.map_err(words)
}

/// A request with a stream of answers; its number.
#[tauri::command]
pub(crate) async fn open(
    engine: State<'_, Engine>,
    streams: State<'_, Streams>,
    request: Request,
    channel: Channel<Vec<Answer>>,
) -> Said<u32> {
    let (source, first) = engine.open(request).await.map_err(words)?;
    Ok(streams.open(source, first, move |answers| channel.send(answers).is_ok()))
}

/// Ends a stream.
#[tauri::command]
pub(crate) fn close(streams: State<'_, Streams>, id: u32) {
    streams.close(id);
}

/// Whether an engine runs.
#[tauri::command]
pub(crate) async fn engine(engine: State<'_, Engine>) -> Said<bool> {
    Ok(engine.runs().await)
}

/// Starts one.
#[tauri::command]
pub(crate) async fn start_engine(engine: State<'_, Engine>) -> Said<()> {
    engine.start().await.map_err(words)
}

/// The key file that was chosen last, while its password is asked for. Wiped when it is dropped.
#[derive(Default)]
pub(crate) struct KeyFile(Mutex<Option<Secret>>);

impl KeyFile {
    fn take(&self) -> Option<Secret> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, file: Secret) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }
}

/// Hands a key file to the engine; nothing of it comes back here. With a password it is the file that
/// was chosen last, else a person chooses one.
#[tauri::command]
pub(crate) async fn import_file(
    window: WebviewWindow,
    engine: State<'_, Engine>,
    kept: State<'_, KeyFile>,
    title: String,
    password: Option<Secret>,
) -> Said<Option<Answer>> {
    let before = kept.take().filter(|_| password.is_some());
    let file = match before {
        Some(file) => file,
        None => match files::choose_key(&window, &title).await.map_err(words)? {
            Some(file) => file,
            None => return Ok(None),
        },
    };
    let request = Request::ImportIdentity { file: file.clone(), password };
    let answer = engine.ask(request).await.map_err(words)?;
    if matches!(answer, Answer::PasswordNeeded { .. }) {
        kept.put(file);
    }
    Ok(Some(answer))
}

/// Lets a person choose a file with certificates; their PEM text.
#[tauri::command]
pub(crate) async fn read_ca(window: WebviewWindow, title: String) -> Said<Option<String>> {
    files::choose_certificate(&window, &title).await.map_err(words)
}

/// To the clipboard. Not on the main thread: a display that hangs shall not freeze the window.
#[tauri::command(async)]
pub(crate) fn copy(clipboard: State<'_, Clipboard>, text: String) -> Said<()> {
    let mut slot = clipboard.0.lock().unwrap_or_else(PoisonError::into_inner);
    let connected = match slot.take() {
        Some(connected) => connected,
        None => arboard::Clipboard::new().map_err(words)?,
    };
    slot.insert(connected).set_text(text).map_err(words)
}

/// Writes something where a person says; that place. `text` is the content of what the pages make.
#[tauri::command]
pub(crate) async fn save(
    window: WebviewWindow,
    engine: State<'_, Engine>,
    title: String,
    kind: Saved,
    text: Option<String>,
) -> Said<Option<String>> {
    let Some(place) = files::choose_place(&window, &title, kind).await else { return Ok(None) };
    match kind {
        Saved::Request => export(&engine, Request::ExportRequest, &place).await?,
        Saved::Certificate => export(&engine, Request::ExportCertificate, &place).await?,
        Saved::SupportBundle => engine.support_bundle(&place).await.map_err(words)?,
        Saved::RequestsCsv | Saved::RequestsHar => write(&place, text.unwrap_or_default())?,
    }
    Ok(Some(place.display().to_string()))
}

/// What the engine answers to `request`, into a file.
async fn export(engine: &Engine, request: Request, place: &Path) -> Said<()> {
    let text = match engine.ask(request).await.map_err(words)? {
        Answer::Pem { text } => text,
        Answer::Error { message } => return Err(message),
        other => return Err(format!("the engine answered something unexpected: {other:?}")),
    };
    write(place, text)
}

fn write(place: &Path, text: String) -> Said<()> {
    std::fs::write(place, text).map_err(|error| format!("the file cannot be written: {error}"))
}

/// The pages have something to show: the window appears, and not before, white and empty.
#[tauri::command]
pub(crate) fn ready(window: WebviewWindow) -> Said<()> {
    window.show().map_err(words)
}

/// Closes the window, as its own button does.
#[tauri::command]
pub(crate) fn close_window(window: WebviewWindow) -> Said<()> {
    window.close().map_err(words)
}

/// The page to begin with.
#[tauri::command]
pub(crate) fn page(wanted: State<'_, Wanted>) -> Option<String> {
    wanted.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
