//! One router, connection origin, authentication, and the faces.

mod app;
mod auth;
mod background;
mod call;
mod error;
mod faces;
pub mod health;
pub mod hosts;
#[cfg(test)]
mod matrix;
pub mod metrics;
pub mod net;
pub mod request_log;
mod respond;
mod route;
pub mod settings;
mod start;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod wire_tests;

pub use settings::Settings;
pub use start::{Running, StartError, start};
