//! End-to-end tests: the real programs on this machine's loopback, used as people and their tools use them.

mod admin;
mod conformance;
mod login;
mod ops;
mod principals;
mod push_pull;
mod third_party;
mod threats;
mod tokens;
mod traces;
mod uploads;
