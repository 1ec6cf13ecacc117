//! Shared by the fuzz targets: reading steps from arbitrary bytes, and a model of a connection.

#![forbid(unsafe_code)]

mod input;
mod model;

pub use input::Input;
pub use model::Model;
