//! How much memory this process has taken.

use std::sync::OnceLock;

use tokio::sync::{Mutex, MutexGuard};

const MIB: u64 = 1 << 20;

/// Bytes resident now.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells what a process takes");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("kB") * 1024
}

/// What was added since the beginning, at most. One at a time: with `cargo test`, all tests share one process.
pub struct Watch {
    begun: u64,
    most: u64,
    _alone: MutexGuard<'static, ()>,
}

impl Watch {
    pub async fn begin() -> Self {
        static ALONE: OnceLock<Mutex<()>> = OnceLock::new();
        let alone = ALONE.get_or_init(Mutex::default).lock().await;
        Self { begun: resident(), most: 0, _alone: alone }
    }

    pub fn look(&mut self) {
        self.most = self.most.max(resident().saturating_sub(self.begun));
    }

    pub fn assert_below_mib(&self, bound: u64) {
        assert!(self.most < bound * MIB, "{} MiB were taken, more than {bound}", self.most / MIB);
    }
}
