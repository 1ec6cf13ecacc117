//! Files as people and programs leave them: texts, private folders, renames.
//!
//! What differs between systems is here, so that the crates above do the same on all of them.

mod folder;
mod rename;
mod text;

pub use folder::create_private_folder;
pub use rename::rename;
pub use text::{decode_text, read_text};
