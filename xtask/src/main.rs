//! `cargo xtask`: what the repository does to itself.

fn main() {}
