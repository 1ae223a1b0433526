//! One router, connection origin, authentication, and the faces.
pub mod settings;
pub use settings::Settings;
