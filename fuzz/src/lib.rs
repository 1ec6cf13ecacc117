//! What the fuzz targets share: reading a story out of arbitrary bytes, and the model that the
//! connection is held against.

#![forbid(unsafe_code)]

mod model;
mod story;

pub use model::Model;
pub use story::Story;
