//! File operations: text files in several encodings, private folders, renames.
//!
//! Differences between systems are handled here, so that the crates above behave the same on all of
//! them.

mod folder;
mod rename;
mod text;

pub use folder::create_private_folder;
pub use rename::rename;
pub use text::{decode_text, read_text};
