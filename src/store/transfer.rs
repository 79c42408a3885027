//! Every row of one store into another, whatever database each is in: resumed where it broke off, and compared row by row
//! at its end.

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::connection::{StoreConnection, Work};
use super::{MOST_ROWS, Store, postgres, rows_of_placeholders, shown, sqlite};

/// The fact in a store that rows are being copied into, and from where: until the last is there it is no store.
pub(super) const UNFINISHED: &str = "migrate_store";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Text,
    Bytes,
}

use Kind::{Bytes, Integer, Text};

/// A table, and in which order its rows are read. In whose hands a row is, is not copied: nobody works on either store.
struct Table {
    name: &'static str,
    /// How many of the columns, from the first on, tell one row from all others.
    n_key: usize,
    columns: &'static [(&'static str, Kind)],
    /// It has its only row from the beginning.
    is_seeded: bool,
}

const fn table(name: &'static str, n_key: usize, columns: &'static [(&'static str, Kind)]) -> Table {
    Table { name, n_key, columns, is_seeded: false }
}

const fn seeded(name: &'static str, columns: &'static [(&'static str, Kind)]) -> Table {
    Table { name, n_key: 1, columns, is_seeded: true }
}

/// Every table but those of the members, each after those that it refers to.
const TABLES: [Table; 23] = [
    table(
        "filings",
        1,
        &[
            ("accession", Integer),
            ("form", Text),
            ("filing_date", Text),
            ("accepted_at", Integer),
            ("seen_at", Integer),
            ("items", Text),
            ("state", Text),
            ("next_try_at", Integer),
            ("attempts", Integer),
            ("last_error", Text),
            ("refused_since", Integer),
            ("read_at", Integer),
            ("classifier_version", Integer),
            ("told_unreadable", Integer),
            ("feed_at", Integer),
            ("index_at", Integer),
            ("accepted_known", Integer),
        ],
    ),
    table("filers", 2, &[("accession", Integer), ("cik", Integer), ("name", Text)]),
    table(
        "documents",
        2,
        &[
            ("accession", Integer),
            ("sequence", Integer),
            ("document_type", Text),
            ("filename", Text),
            ("sha256", Bytes),
            ("size_bytes", Integer),
            ("held_bytes", Integer),
            ("text", Bytes),
        ],
    ),
    table(
        "events",
        2,
        &[
            ("accession", Integer),
            ("ordinal", Integer),
            ("kind", Text),
            ("status", Text),
            ("exchange", Text),
            ("letter_date", Text),
            ("details", Text),
        ],
    ),
    table(
        "letters",
        2,
        &[
            ("accession", Integer),
            ("ordinal", Integer),
            ("letter_accession", Integer),
            ("letter_ordinal", Integer),
            ("relation", Text),
            ("details", Text),
        ],
    ),
    table("alerts", 1, &[("id", Text), ("accession", Integer), ("created_at", Integer), ("content", Text)]),
    table(
        "messages",
        1,
        &[
            ("id", Integer),
            ("message_id", Text),
            ("recipient", Text),
            ("subject", Text),
            ("created_at", Integer),
            ("state", Text),
            ("next_try_at", Integer),
            ("attempts", Integer),
            ("last_reply", Text),
            ("final_at", Integer),
            ("bytes", Bytes),
            ("held_until", Integer),
            ("is_digest", Integer),
        ],
    ),
    table(
        "notices",
        3,
        &[
            ("alert", Text),
            ("recipient", Text),
            ("channel", Text),
            ("subscriptions", Text),
            ("due_at", Integer),
            ("message", Integer),
            ("events", Text),
        ],
    ),
    table(
        "withheld",
        2,
        &[("alert", Text), ("recipient", Text), ("subscriptions", Text), ("events", Text), ("told_by", Text)],
    ),
    table(
        "addresses",
        1,
        &[("id", Integer), ("address", Text), ("silenced", Text), ("silenced_at", Integer), ("silenced_why", Text)],
    ),
    table(
        "subscriptions",
        1,
        &[
            ("id", Text),
            ("origin", Text),
            ("address", Integer),
            ("state", Text),
            ("terms", Text),
            ("created_at", Integer),
            ("confirmed_at", Integer),
            ("ended_at", Integer),
            ("paused_until", Integer),
        ],
    ),
    table(
        "bounces",
        1,
        &[("message", Integer), ("address", Integer), ("bounced_at", Integer), ("is_hard", Integer), ("words", Text)],
    ),
    table("watched", 1, &[("key", Text), ("since_date", Text)]),
    table("baselines", 2, &[("key", Text), ("prefix", Text)]),
    table(
        "tickers",
        1,
        &[("ticker", Text), ("cik", Integer), ("name", Text), ("resolved_at", Integer), ("warning", Text)],
    ),
    table(
        "feed_queries",
        1,
        &[
            ("prefix", Text),
            ("asked_as", Text),
            ("gap_since", Integer),
            ("deep_end", Integer),
            ("deep_at", Integer),
            ("oldest_at", Integer),
        ],
    ),
    table(
        "days",
        1,
        &[
            ("day", Text),
            ("state", Text),
            ("expected_at", Integer),
            ("next_check_at", Integer),
            ("n_checks", Integer),
            ("index_size", Text),
            ("written_at", Integer),
            ("reconciled_at", Integer),
            ("n_listed", Integer),
            ("n_watched", Integer),
            ("n_missed", Integer),
            ("n_bad", Integer),
        ],
    ),
    table("backfilled", 2, &[("watched", Text), ("day", Text), ("at", Integer)]),
    table("counters", 1, &[("name", Text), ("n", Integer)]),
    table("facts", 1, &[("key", Text), ("value", Text), ("at", Integer)]),
    seeded(
        "request_budget",
        &[
            ("id", Integer),
            ("next_free_at", Integer),
            ("blocked_until", Integer),
            ("block_reason", Text),
            ("refused_user_agent", Text),
            ("day", Text),
            ("n_today", Integer),
        ],
    ),
    // They count changes: whoever has read the source knows nothing of the copy.
    seeded("subscription_changes", &[("id", Integer), ("n", Integer)]),
    seeded("watch_changes", &[("id", Integer), ("n", Integer)]),
];

/// Tables whose numbers are never given twice, since they stand in links that were sent.
const NUMBERED: [&str; 2] = ["addresses", "messages"];

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What was copied of a table, the same in both stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub n_rows: u64,
    /// SHA-256 over all of them in the order of their keys, in hexadecimal digits.
    pub checksum: String,
}

/// Copies every row of a store into another that is new, or that an earlier copy of the same store broke off in. `progress`
/// hears of every table and how many of its rows are there.
///
/// # Errors
/// When the other store holds anything else, when either fails, and when they differ at the end: then the source was written
/// meanwhile.
pub async fn transfer(
    from: &Store,
    to: &Store,
    mut progress: impl FnMut(&'static str, u64),
) -> anyhow::Result<Vec<Transferred>> {
    begin(from, to).await?;
    // One moment of the source, whoever writes it meanwhile.
    let mut source = from.snapshot().await?;
    for table in &TABLES {
        copy_table(&mut source, from, to, table, &mut progress)
            .await
            .with_context(|| format!("table {}", table.name))?;
    }
    for name in NUMBERED {
        let last = from.last_number(&mut source, name).await?;
        to.continue_after(name, last).await?;
    }
    let mut target = to.snapshot().await?;
    let mut done = Vec::new();
    for table in &TABLES {
        let (here, there) = (sum(&mut source, from, table).await?, sum(&mut target, to, table).await?);
        if here != there {
            bail!(
                "table {}: {} rows at {}, {} rows at {}, and not the same: it was written meanwhile; begin again with an empty store",
                table.name,
                here.n_rows,
                from.place(),
                there.n_rows,
                to.place()
            );
        }
        done.push(here);
    }
    to.clear_fact(UNFINISHED).await?;
    Ok(done)
}

/// Marks the target as unfinished, unless it holds what is not ours.
async fn begin(from: &Store, to: &Store) -> anyhow::Result<()> {
    let source = from.place().to_string();
    match to.fact(UNFINISHED).await? {
        Some((begun, _)) if begun == source => return Ok(()),
        Some((begun, _)) => bail!("{} holds a part of {begun}: name an empty one", to.place()),
        None => {}
    }
    let mut target = to.snapshot().await?;
    for table in TABLES.iter().filter(|table| !table.is_seeded) {
        let statement = format!("SELECT 1 AS n FROM {} LIMIT 1", table.name);
        if sqlx::query(AssertSqlSafe(statement)).fetch_optional(&mut *target).await?.is_some() {
            bail!("{} holds data already: name an empty one", to.place());
        }
    }
    drop(target);
    to.set_fact(UNFINISHED, &source, chrono::Utc::now()).await
}

async fn copy_table(
    source: &mut Work,
    from: &Store,
    to: &Store,
    table: &Table,
    progress: &mut impl FnMut(&'static str, u64),
) -> anyhow::Result<()> {
    if table.is_seeded {
        let statement = format!("DELETE FROM {}", table.name);
        to.write(sqlx::query(AssertSqlSafe(statement)), "copy rows").await?;
    }
    let mut target = to.writer.acquire().await.map_err(|error| to.failed(&error, "copy rows"))?;
    let mut last = last_key(&mut target, table).await.map_err(|error| to.failed(&error, "copy rows"))?;
    let mut n_rows = 0;
    drop(target);
    loop {
        let rows =
            rows_after(source, table, last.as_deref()).await.map_err(|error| from.failed(&error, "copy rows"))?;
        let Some(row) = rows.last() else { return Ok(()) };
        last = Some(row[..table.n_key].to_vec());
        n_rows += rows.len() as u64;
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let statement = format!(
            "INSERT INTO {} ({}) VALUES {}",
            table.name,
            names.join(", "),
            rows_of_placeholders(rows.len(), names.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
        for (value, (_, kind)) in rows.into_iter().flat_map(|row| row.into_iter().zip(table.columns)) {
            query = match (value, kind) {
                (Value::Integer(n), _) => query.bind(n),
                (Value::Text(text), _) => query.bind(text),
                (Value::Bytes(bytes), _) => query.bind(bytes),
                (Value::Null, Integer) => query.bind(None::<i64>),
                (Value::Null, Text) => query.bind(None::<String>),
                (Value::Null, Bytes) => query.bind(None::<Vec<u8>>),
            };
        }
        to.write(query, "copy rows").await?;
        progress(table.name, n_rows);
    }
}

/// The key of a table's last row; it is where a copy that broke off goes on.
async fn last_key(connection: &mut StoreConnection, table: &Table) -> Result<Option<Vec<Value>>, sqlx::Error> {
    let key: Vec<String> = table.columns[..table.n_key].iter().map(|(name, _)| (*name).to_owned()).collect();
    let backwards: Vec<String> = key.iter().map(|name| format!("{name} DESC")).collect();
    let statement = format!(
        "SELECT {} FROM {}{} ORDER BY {} LIMIT 1",
        key.join(", "),
        table.name,
        not_ours(table, " WHERE"),
        backwards.join(", ")
    );
    let row = sqlx::query(AssertSqlSafe(statement)).fetch_optional(connection).await?;
    row.map(|row| values(&row, &table.columns[..table.n_key])).transpose()
}

/// The mark of an unfinished copy is in a table that is copied, and no part of it.
fn not_ours(table: &Table, begin: &str) -> String {
    if table.name == "facts" { format!("{begin} key <> '{UNFINISHED}'") } else { String::new() }
}

/// The next rows in the order of their keys.
async fn rows_after(work: &mut Work, table: &Table, after: Option<&[Value]>) -> Result<Vec<Vec<Value>>, sqlx::Error> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let key = names[..table.n_key].join(", ");
    let condition = match after {
        Some(_) => {
            let placeholders: Vec<String> = (1..=table.n_key).map(|n| format!("${n}")).collect();
            format!(" WHERE ({key}) > ({}){}", placeholders.join(", "), not_ours(table, " AND"))
        }
        None => not_ours(table, " WHERE"),
    };
    let statement =
        format!("SELECT {} FROM {}{condition} ORDER BY {key} LIMIT {MOST_ROWS}", names.join(", "), table.name);
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for value in after.into_iter().flatten() {
        query = match value {
            Value::Integer(n) => query.bind(*n),
            Value::Text(text) => query.bind(text.clone()),
            Value::Bytes(bytes) => query.bind(bytes.clone()),
            Value::Null => query,
        };
    }
    let rows = query.fetch_all(&mut **work).await?;
    rows.iter().map(|row| values(row, table.columns)).collect()
}

fn values(row: &AnyRow, columns: &[(&'static str, Kind)]) -> Result<Vec<Value>, sqlx::Error> {
    let value = |(place, (_, kind)): (usize, &(&'static str, Kind))| {
        Ok(match kind {
            Integer => row.try_get::<Option<i64>, _>(place)?.map(Value::Integer),
            Text => row.try_get::<Option<String>, _>(place)?.map(|text| Value::Text(shown(&text))),
            Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(Value::Bytes),
        }
        .unwrap_or(Value::Null))
    };
    columns.iter().enumerate().map(value).collect()
}

/// Counts and sums up a table.
async fn sum(work: &mut Work, store: &Store, table: &Table) -> anyhow::Result<Transferred> {
    let mut hash = Sha256::new();
    let mut n_rows = 0;
    let mut last: Option<Vec<Value>> = None;
    loop {
        let rows = rows_after(work, table, last.as_deref()).await;
        let rows = rows.map_err(|error| store.failed(&error, "compare rows"))?;
        let Some(row) = rows.last() else { break };
        last = Some(row[..table.n_key].to_vec());
        n_rows += rows.len() as u64;
        for value in rows.iter().flatten() {
            // What it is and how long, so that no two rows read the same.
            match value {
                Value::Null => hash.update([0]),
                Value::Integer(n) => {
                    hash.update([1]);
                    hash.update(n.to_le_bytes());
                }
                Value::Text(text) => {
                    hash.update([2]);
                    hash.update((text.len() as u64).to_le_bytes());
                    hash.update(text);
                }
                Value::Bytes(bytes) => {
                    hash.update([3]);
                    hash.update((bytes.len() as u64).to_le_bytes());
                    hash.update(bytes);
                }
            }
        }
    }
    Ok(Transferred { table: table.name, n_rows, checksum: data_encoding::HEXLOWER.encode(&hash.finalize()) })
}

impl Store {
    /// A transaction that sees the store as it is at one moment.
    async fn snapshot(&self) -> anyhow::Result<Work> {
        let statement = if self.place.is_server() { postgres::BEGIN_SNAPSHOT } else { sqlite::BEGIN_SNAPSHOT };
        self.pool.begin(statement).await.map_err(|error| self.failed(&error, "begin"))
    }

    /// The last number that was given to a row of a table.
    async fn last_number(&self, work: &mut Work, table: &str) -> anyhow::Result<i64> {
        let statement = if self.place.is_server() {
            format!("SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence('{table}', 'id')::regclass), 0)")
        } else {
            format!(
                "SELECT MAX((SELECT COALESCE(MAX(id), 0) FROM {table}),
                            (SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = '{table}'))"
            )
        };
        let (last,): (i64,) = sqlx::query_as(AssertSqlSafe(statement))
            .fetch_one(&mut **work)
            .await
            .map_err(|error| self.failed(&error, "read the last number"))?;
        Ok(last)
    }

    /// Lets the next row of a table have a number beyond one.
    async fn continue_after(&self, table: &str, last: i64) -> anyhow::Result<()> {
        if last == 0 {
            return Ok(());
        }
        let statements = if self.place.is_server() {
            vec![format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), $1)")]
        } else {
            // Only tables that say so have a row here; messages are numbered after the last there is.
            vec![
                format!("DELETE FROM sqlite_sequence WHERE name = '{table}' AND seq < $1"),
                format!(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT '{table}', $1
                     WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = '{table}')"
                ),
            ]
        };
        for statement in statements {
            self.write(sqlx::query(AssertSqlSafe(statement)).bind(last), "copy rows").await?;
        }
        Ok(())
    }

    /// Where the rows come from that are being copied into this store; `None` for a store that is whole.
    pub(super) async fn unfinished(&self) -> anyhow::Result<Option<String>> {
        Ok(self.fact(UNFINISHED).await?.map(|(from, _)| from))
    }
}
