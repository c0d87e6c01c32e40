//! How much there is, counted where the tables make it cheap: for metrics, and for people.

use dos_sql::{self as sql, Connection};

use super::{Refusal, Store, row};

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Registered peers.
    pub peers: u64,
    /// Images.
    pub images: u64,
    /// Bytes of all previews.
    pub preview_bytes: u64,
    /// Updates that peers have not stored yet.
    pub inbox_rows: u64,
    /// Their bytes.
    pub inbox_bytes: u64,
}

/// Numbers in an inbox have no gaps, so that its first and its last one tell how many there are.
const INBOX_ROWS: &str = "
SELECT coalesce(sum(latest + 1 - first), 0) FROM (
    SELECT latest, (SELECT seq FROM inbox WHERE inbox.peer = inbox_heads.peer ORDER BY seq LIMIT 1) AS first
    FROM inbox_heads
) AS heads WHERE first IS NOT NULL";

impl Store {
    /// How much there is: a step for every peer, off the asynchronous threads.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn counts(&self) -> Result<Counts, Refusal> {
        self.read(|connection| Ok(counts(connection)?)).await
    }

    /// The grants that stand: a step for every grant there ever was.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn grants_standing(&self) -> Result<u64, Refusal> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM grants WHERE share IS NOT NULL";
            Ok(connection.query_row(sql, (), |row| row::unsigned(row, 0))?)
        })
        .await
    }

    /// The size of the database, in bytes.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn database_bytes(&self) -> Result<u64, Refusal> {
        self.read(|connection| {
            if connection.is_postgres() {
                let sql = "SELECT pg_database_size(current_database())";
                return Ok(connection.query_row(sql, (), |row| row::unsigned(row, 0))?);
            }
            let pragma =
                |name: &str| connection.query_row(&format!("PRAGMA {name}"), (), |row| row::unsigned(row, 0));
            Ok(pragma("page_count")?.saturating_mul(pragma("page_size")?))
        })
        .await
    }
}

fn counts(connection: &Connection) -> sql::Result<Counts> {
    let sql = "SELECT count(*), coalesce(sum(images), 0), coalesce(sum(preview_bytes), 0),
                   (SELECT coalesce(sum(bytes), 0) FROM inbox_heads) FROM peers";
    let inbox_rows = connection.query_row(INBOX_ROWS, (), |row| row::unsigned(row, 0))?;
    connection.query_row(sql, (), |row| {
        Ok(Counts {
            peers: row::unsigned(row, 0)?,
            images: row::unsigned(row, 1)?,
            preview_bytes: row::unsigned(row, 2)?,
            inbox_rows,
            inbox_bytes: row::unsigned(row, 3)?,
        })
    })
}
