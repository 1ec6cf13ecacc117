//! "Why doesn't it work?" against faults that are staged with real programs: each must be called by
//! its name. The table of fault and finding is printed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story fails where it cannot go on, and says what it measured"
)]

mod here;
mod network;
mod running;
mod secured;
mod table;
