//! The numbered migrations of both databases. A shipped one is never edited: a change is a new number.

/// A number and the statements that belong to it.
pub(super) type Migration = (i64, &'static str);

pub(super) const SQLITE: &[Migration] = &[
    (1, include_str!("../../migrations/sqlite/0001_first.sql")),
    (2, include_str!("../../migrations/sqlite/0002_directory.sql")),
];

pub(super) const POSTGRES: &[Migration] = &[
    (1, include_str!("../../migrations/postgres/0001_first.sql")),
    (2, include_str!("../../migrations/postgres/0002_directory.sql")),
];
