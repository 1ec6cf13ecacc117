//! What the fuzz targets share: reading a input out of arbitrary bytes, and the model that the
//! connection is held against.

#![forbid(unsafe_code)]

mod model;
mod input;

pub use model::Model;
pub use input::Input;
