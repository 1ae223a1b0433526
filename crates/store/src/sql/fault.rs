//! How a transaction can fail, and what of it the rest of the house sees.

use sqlx::error::{DatabaseError, ErrorKind};

use crate::StoreError;

/// Why a transaction did not end well.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Another transaction was in the way; from its beginning it may succeed.
    Again(StoreError),
    Failed(StoreError),
}

impl Fault {
    /// What was read before was changed by another transaction.
    pub(super) fn overtaken(what: &str) -> Self {
        Self::Again(StoreError::Unavailable(format!("{what} was changed by somebody else again and again")))
    }

    pub(super) fn corrupt(column: &str) -> Self {
        Self::Failed(StoreError::Corrupt(format!("column `{column}` holds what was never written there")))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Again(error) | Fault::Failed(error) => error,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Fault {
    /// The texts are sqlx's and the database's own messages, but for `Configuration`, which quotes the URL.
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let text = error.to_string();
        Self::Failed(match error {
            E::Database(error) => return database(error.as_ref()),
            E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                StoreError::Unavailable(text)
            }
            E::BeginFailed => StoreError::Unavailable(text),
            E::ColumnDecode { .. } | E::Decode(_) | E::ColumnNotFound(_) | E::TypeNotFound { .. } => {
                StoreError::Corrupt(text)
            }
            E::Configuration(_) => StoreError::Refused("the database URL cannot be used".to_owned()),
            _ => StoreError::Refused(text),
        })
    }
}

fn database(error: &dyn DatabaseError) -> Fault {
    let text = error.message().to_owned();
    // A row that a foreign key names was there when it was read and is not any more, or one of a unique name was not
    // there and is now.
    if matches!(error.kind(), ErrorKind::ForeignKeyViolation | ErrorKind::UniqueViolation) {
        return Fault::Again(StoreError::Refused(text));
    }
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        postgres(&code, text)
    } else {
        Fault::Failed(sqlite(&code, text))
    }
}

/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>
fn postgres(code: &str, text: String) -> Fault {
    Fault::Failed(match code {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => return Fault::Again(StoreError::Unavailable(text)),
        // disk_full, read_only_sql_transaction
        "53100" | "25006" => StoreError::NotWritable(text),
        // lock_not_available, query_canceled, idle_in_transaction_session_timeout
        "55P03" | "57014" | "25P03" => StoreError::Unavailable(text),
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => StoreError::Corrupt(text),
        // connection exceptions, insufficient resources, operator intervention, system errors
        code if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => StoreError::Unavailable(text),
        _ => StoreError::Refused(text),
    })
}

/// <https://www.sqlite.org/rescode.html>; an extended code holds the primary one in its low byte.
fn sqlite(code: &str, text: String) -> StoreError {
    match code.parse::<i32>().map(|code| code & 0xff) {
        // READONLY, FULL
        Ok(8 | 13) => StoreError::NotWritable(text),
        // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, CANTOPEN
        Ok(5 | 6 | 7 | 9 | 10 | 14) => StoreError::Unavailable(text),
        // CORRUPT, NOTADB
        Ok(11 | 26) => StoreError::Corrupt(text),
        _ => StoreError::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_retrying_will_not_change_is_told_from_an_outage() {
        let text = || "text".to_owned();
        assert!(matches!(sqlite("1555", text()), StoreError::Refused(_)));
        assert!(matches!(sqlite("13", text()), StoreError::NotWritable(_)));
        assert!(matches!(sqlite("1032", text()), StoreError::NotWritable(_)), "READONLY_DBMOVED");
        assert!(matches!(sqlite("517", text()), StoreError::Unavailable(_)), "BUSY_SNAPSHOT");
        assert!(matches!(postgres("40P01", text()), Fault::Again(_)));
        assert!(matches!(postgres("53100", text()), Fault::Failed(StoreError::NotWritable(_))));
        assert!(matches!(postgres("57P01", text()), Fault::Failed(StoreError::Unavailable(_))));
        assert!(matches!(postgres("28P01", text()), Fault::Failed(StoreError::Refused(_))));
    }
}
