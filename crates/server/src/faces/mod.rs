//! The faces: each translates one protocol; no rule lives here.

pub mod directory;
pub mod distribution;
pub mod management;
pub mod tokens;
