//! How a method of the trait runs its queries: in time, and again when another transaction was in the way.

use std::future::Future;
use std::time::Duration;

use super::super::OPERATION_TIMEOUT;
use super::{Fault, Sql};
use crate::StoreError;

/// How often a transaction that was overtaken begins again.
pub(super) const ATTEMPTS: u32 = 10;

pub(super) async fn in_time<T>(run: impl Future<Output = Sql<T>>) -> Sql<T> {
    let slow = || Fault::Failed(StoreError::Unavailable("the database does not answer in time".to_owned()));
    tokio::time::timeout(OPERATION_TIMEOUT, run).await.unwrap_or_else(|_| Err(slow()))
}

/// Before the next attempt.
pub(super) async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(5) * attempt).await;
}

/// One statement that reads.
macro_rules! read {
    ($store:expr, $conn:ident => $run:expr) => {
        in_time(async {
            let mut held = $store.pools.read().await?;
            let $conn = &mut *held;
            $run.await
        })
        .await
        .map_err(StoreError::from)
    };
}

/// A transaction that writes; again from its beginning when another was in the way. Dropped without a commit it is
/// rolled back.
macro_rules! write {
    ($store:expr, $conn:ident => $run:expr) => {{
        let mut attempt = 0;
        loop {
            let outcome = in_time(async {
                let mut tx = $store.pools.write().await?;
                let $conn = &mut *tx;
                let value = $run.await?;
                tx.commit().await?;
                Ok(value)
            })
            .await;
            match outcome {
                Err(Fault::Again(_)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    pause(attempt).await;
                }
                outcome => break outcome.map_err(StoreError::from),
            }
        }
    }};
}
