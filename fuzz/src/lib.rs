//! Shared by the fuzz targets: reading steps from arbitrary bytes, and a model of a connection.

#![forbid(unsafe_code)]

mod model;
mod input;

pub use model::Model;
pub use input::Input;
