//! TEMPORARY until crates/server has `start`.
use shorepass_server::settings::Settings;
use std::net::SocketAddr;
use std::path::PathBuf;
pub struct Running;
impl Running {
    pub fn endpoint(&self) -> String {
        String::new()
    }
    pub fn listen_addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        None
    }
    pub fn ca_file(&self) -> Option<PathBuf> {
        None
    }
    pub fn first_start(&self) -> bool {
        false
    }
    pub async fn reload(&self) -> Result<(), std::io::Error> {
        Ok(())
    }
    pub async fn shutdown(self) {}
}
pub async fn start(_: Settings) -> Result<Running, std::io::Error> {
    Err(std::io::Error::other("not there yet"))
}
