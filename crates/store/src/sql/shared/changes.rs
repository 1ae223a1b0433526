//! The log of changed resources.

use sqlx::{QueryBuilder, Row as _};
use uuid::Uuid;

use super::super::super::CHANGES_KEPT;
use super::resources::{resource, resource_columns};
use super::{Connection, Db, Row, Sql, keys, query};
use crate::resources::ResourceRow;

/// Rows in one statement: SQLite takes 32,766 parameters, and a prepared statement shall stay small.
const CHUNK: usize = 500;

/// Up to the end of the transaction that holds the last of the page.
pub(super) const SINCE: &str = concat!(
    "select c.generation, c.resource_id, ",
    resource_columns!(),
    " from resource_changes c left join resources r on r.id = c.resource_id
     where c.generation > $1 and c.generation <= coalesce(
        (select transaction_end from resource_changes where generation > $1 order by generation limit 1 offset $2),
        9223372036854775807)
     order by c.generation"
);

/// A bounded number per write, of which more come than rows do.
pub(super) const PRUNE: &str = "delete from resource_changes where generation in
    (select generation from resource_changes where generation <= $1 order by generation limit $2)";

type Change = (i64, Uuid, Option<ResourceRow>);

/// Gives each of `ids` a generation of its own and answers the last. By who holds the policy.
pub(super) async fn log(conn: &mut Connection, ids: &[Uuid]) -> Sql<i64> {
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let end = keys::raise_generation_by(conn, count).await?;
    let numbered: Vec<(i64, Uuid)> = (end - count + 1..).zip(ids.iter().copied()).collect();
    for chunk in numbered.chunks(CHUNK) {
        let mut builder =
            QueryBuilder::<Db>::new("insert into resource_changes (generation, transaction_end, resource_id) ");
        builder.push_values(chunk, |mut row, (generation, id)| {
            row.push_bind(*generation).push_bind(end).push_bind(*id);
        });
        builder.build().persistent(false).execute(&mut *conn).await?;
    }
    query(PRUNE).bind(end - CHANGES_KEPT).bind(2 * count).execute(conn).await?;
    Ok(end)
}

/// Asks for the log first and for the generation then: what was pruned between the two is behind the generation.
pub(super) async fn since(conn: &mut Connection, since: i64, limit: i64) -> Sql<Option<Vec<Change>>> {
    let mut changes = Vec::new();
    if limit > 0 {
        let rows = query(SINCE).bind(since).bind(limit - 1).fetch_all(&mut *conn).await?;
        changes = rows.iter().map(change).collect::<Sql<_>>()?;
    }
    let generation = keys::generation(conn).await?;
    let reaches = (generation - CHANGES_KEPT..=generation).contains(&since);
    Ok(reaches.then_some(changes))
}

fn change(row: &Row) -> Sql<Change> {
    let there = row.try_get::<Option<Uuid>, _>("id")?.is_some();
    Ok((row.try_get("generation")?, row.try_get("resource_id")?, there.then(|| resource(row)).transpose()?))
}
