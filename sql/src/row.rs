//! A row of either engine.

use rusqlite::types::{FromSql, Value, ValueRef};

use crate::{Error, Result};

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r>(pub(crate) Kind<'r>);

#[derive(Clone, Copy)]
pub(crate) enum Kind<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    /// PostgreSQL's, in SQLite's values.
    Values(&'r [Value]),
}

impl std::fmt::Debug for Kind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No values: they may be secrets.
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Values(_) => "Values",
        })
    }
}

impl<'r> Row<'r> {
    /// The value of a column as it is.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn get_ref(&self, column: usize) -> Result<ValueRef<'r>> {
        match self.0 {
            Kind::Sqlite(row) => Ok(row.get_ref(column)?),
            Kind::Values(values) => values.get(column).map(ValueRef::from).ok_or(Error::Alien(column)),
        }
    }

    /// The value of a column.
    ///
    /// # Errors
    /// [`Error::Alien`] if it is none of that type.
    pub fn get<T: FromSql>(&self, column: usize) -> Result<T> {
        T::column_result(self.get_ref(column)?).map_err(|_| Error::Alien(column))
    }
}
