//! The Shorepass server and its command line.

fn main() {}
