//! The calls of Windows that no safe crate offers.
//!
//! This is the only crate of the workspace that may contain `unsafe`: every other one forbids it. Each
//! block makes one call and states why it is sound. On other systems the crate is empty.
//!
//! Users and rights are texts, as Windows writes them: a user is a SID (`S-1-5-21-…`), an object's owner
//! and access list are a security descriptor in SDDL
//! (<https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format>).

#![cfg(windows)]

pub mod console;
pub mod folder;
pub mod pipe;
mod security;
pub mod tcp;

pub use security::own_user;
