//! SeaCat Proxy without a face: everything of the application but a window.
//!
//! ```text
//!   cli ──► config ──► controller::Engine ──► seacat_channel, seacat_proxy (, seacat_gateway)
//!    │                    ▲   │
//!    └──► control ────────┘   └──► status::StatusView, access::AccessView
//!                                        └──► tray_menu::Menu, notices::Notice ──► app (Linux)
//! ```
//!
//! The window and the command line do the same things by the same means: they read a
//! [`status::StatusView`], send a [`control::Request`] and change settings with [`config::edit`].

pub use seacat_channel::certificates_as_pem;

pub mod access;
#[cfg(all(feature = "tray", target_os = "linux"))]
pub mod app;
pub mod cli;
pub mod client_settings;
pub mod config;
pub mod control;
pub mod controller;
pub mod diagnose;
pub mod exit;
pub mod first_run;
pub mod history;
pub mod identity_view;
pub mod instance;
pub mod logging;
pub mod login;
pub mod notices;
pub mod page;
pub mod places;
pub mod port_owner;
pub mod private;
pub mod reference;
pub mod settings;
pub mod signals;
pub mod status;
pub mod support;
pub mod system_events;
pub mod tray_menu;
#[cfg(test)]
mod typescript;
