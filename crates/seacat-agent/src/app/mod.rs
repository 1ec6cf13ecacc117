//! `seacat-proxy app`: the engine with an icon in the panel. Linux only.
//!
//! ```text
//!   engine ─ StatusView ─► Face ─► Menu::of ──► tray (StatusNotifierItem over D-Bus)
//!      ▲                    │ ▲ ◄──── Click ──────┘
//!      └────── Request ─────┘ └─► notices ──► notify (org.freedesktop.Notifications)
//!                           └──► window: the program seacat-proxy-window, a process of its own
//! ```
//!
//! What was decided here:
//!
//! * Everything runs in the engine's process and on its one thread: no GTK, no WebKit. The window is
//!   another program, started when it is asked for; it talks over the control socket, and its crash
//!   is none of ours.
//! * One copy: a second `app` finds the lock taken, starts the window and ends. The window's program
//!   itself sees to it that there is one window, so nobody has to be asked over the control socket,
//!   and it works with a proxy that runs as a service and knows no display.
//! * The window's program stands beside ours, else on the path, unless `SEACAT_PROXY_WINDOW` names
//!   it. It gets `--page NAME`, and `--config` and `--state-dir` when we did.
//! * The menu is made anew when the status changes and when it is about to be opened; that is when
//!   a countdown goes on. While connected nothing wakes us between two PINGs.
//! * No host for the icon, or no session bus at all, is no error: the launcher opens the window, and
//!   the icon appears when a host does.

pub mod autostart;
mod clipboard;
mod icon;
pub mod notify;
mod tray;
mod window;

use std::future::pending;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::config::schema::Desktop;
use crate::control::{Answer, Desk, Request};
use crate::notices::{Notice, Notices};
use crate::page::Page;
use crate::tray_menu::{Click, Mark};

use clipboard::Clipboard;
use tray::Tray;

pub use window::{Window, WindowError};

/// Clicks that wait. A person is slower than the loop.
const CLICKS: usize = 8;

/// From one picture of the moving dot to the next.
const FRAME: Duration = Duration::from_millis(400);

/// A click, and the token with which a Wayland compositor lets our window come to the front.
#[derive(Debug)]
struct Clicked {
    click: Click,
    token: Option<String>,
}

/// What shows the engine to a person and passes on what they do.
pub struct Face {
    desk: Desk,
    window: Window,
    clipboard: Clipboard,
    notices: Notices,
}

impl Face {
    /// A face for the engine behind `desk`.
    #[must_use]
    pub fn new(desk: Desk, window: Window) -> Self {
        let (clipboard, notices) = (Clipboard::default(), Notices::default());
        Self { desk, window, clipboard, notices }
    }

    /// As they are now.
    fn settings(&self) -> Desktop {
        self.desk.running.borrow().config.desktop.clone()
    }

    /// Runs until the engine ends. `open` is the page that is shown at once.
    pub async fn run(mut self, open: Option<Page>) {
        let (sender, mut clicks) = mpsc::channel(CLICKS);
        let mut status = self.desk.status.clone();
        let view = status.borrow_and_update().clone();
        let tray = Tray::start(view, self.settings().icon, sender).await;
        if let Some(page) = open {
            self.open(page, None);
        }
        loop {
            let view = status.borrow_and_update().clone();
            for notice in self.notices.look(&view, Instant::now()) {
                self.tell(notice);
            }
            let mark = match &tray {
                Some(tray) => tray.show(view, self.settings().icon).await,
                None => None,
            };
            let frame = (mark == Some(Mark::Connecting)).then(|| Instant::now() + FRAME);
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return },
                Some(clicked) = clicks.recv() => self.obey(clicked).await,
                () = at(self.notices.deadline()) => {}
                () = at(frame) => {}
            }
        }
    }

    async fn obey(&mut self, Clicked { click, token }: Clicked) {
        match click {
            Click::Connect => self.ask(Request::Connect).await,
            Click::Disconnect => self.ask(Request::Disconnect).await,
            Click::UseGateway(name) => self.ask(Request::UseGateway { name }).await,
            Click::Quit => self.ask(Request::Stop).await,
            Click::Open(page) => self.open(page, token),
            Click::Copy(text) => {
                if let Err(error) = self.clipboard.copy(text).await {
                    self.complain("Couldn't copy to the clipboard", format!("{error}."));
                }
            }
        }
    }

    async fn ask(&mut self, request: Request) {
        if let Answer::Error { message } = self.desk.ask(request).await {
            tracing::warn!("{message}");
        }
    }

    fn open(&self, page: Page, token: Option<String>) {
        if let Err(error) = self.window.open(page, token) {
            self.complain("The window cannot be opened", format!("{error}."));
        }
    }

    /// What a person has just asked for went wrong: that is told whatever the settings say.
    fn complain(&self, title: &'static str, body: String) {
        tracing::warn!("{title}: {body}");
        self.send(Notice { title, body, page: Page::Overview });
    }

    fn tell(&self, notice: Notice) {
        tracing::info!("{}: {}", notice.title, notice.body);
        if self.settings().notifications {
            self.send(notice);
        }
    }

    /// In a task of its own: the one who shows notifications may be slow.
    fn send(&self, notice: Notice) {
        let window = self.window.clone();
        tokio::spawn(async move {
            match notify::show(&notice).await {
                Ok(shown) => {
                    if shown.clicked().await
                        && let Err(error) = window.open(notice.page, None)
                    {
                        tracing::warn!("the window cannot be opened: {error}");
                    }
                }
                Err(error) => tracing::info!("nobody shows notifications: {error}"),
            }
        });
    }
}

/// Resolves then; never without a time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => pending().await,
    }
}
