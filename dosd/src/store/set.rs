//! Sets of numbers in a statement: `IN` lists of a fixed length, so that a statement has one text whatever the set is.

use dos_sql::{self as sql, Connection, Row, params_from_iter};

/// Numbers in one list.
const CHUNK: usize = 64;

/// The rows of a statement for each of these numbers, in the order in which the statement gives them for one list after the
/// other. `statement` gets the list and has `key` as its first parameter.
pub(super) fn query<T>(
    connection: &Connection,
    statement: impl Fn(&str) -> String,
    (key, numbers): (i64, &[i64]),
    read: impl Fn(Row<'_>) -> sql::Result<T>,
) -> sql::Result<Vec<T>> {
    let mut found = Vec::with_capacity(numbers.len());
    if numbers.is_empty() {
        return Ok(found);
    }
    let mut query = connection.prepare(&statement(&list()))?;
    for chunk in numbers.chunks(CHUNK) {
        // The last number again fills up a list and finds nothing more.
        let filler = chunk.last().into_iter().cycle().take(CHUNK - chunk.len());
        let values = params_from_iter(std::iter::once(&key).chain(chunk).chain(filler));
        for row in query.query_map(values, &read)? {
            found.push(row?);
        }
    }
    Ok(found)
}

/// `?2, ?3, ...`
fn list() -> String {
    let places: Vec<String> = (2..CHUNK + 2).map(|place| format!("?{place}")).collect();
    places.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_found_once_however_many_there_are() {
        let memory = rusqlite::Connection::open_in_memory().unwrap();
        let connection = Connection::Sqlite(&memory);
        connection.execute_batch("CREATE TABLE t(key INTEGER, n INTEGER)").unwrap();
        for n in 0..300 {
            connection.execute("INSERT INTO t VALUES(1, ?1), (2, ?1)", [n]).unwrap();
        }
        for count in [0, 1, 63, 64, 65, 128, 200] {
            let numbers: Vec<i64> = (0..count).collect();
            let statement =
                |list: &str| format!("SELECT n FROM t WHERE key = ?1 AND n IN ({list}) ORDER BY n");
            let found = query(&connection, statement, (2, &numbers), |row| row.get::<i64>(0)).unwrap();
            assert_eq!(found, numbers);
        }
    }
}
