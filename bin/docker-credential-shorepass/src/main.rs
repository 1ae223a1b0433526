//! Docker credential helper for Shorepass registries.

fn main() {}
