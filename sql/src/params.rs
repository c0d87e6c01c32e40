//! Parameters of a statement, by their place.
//!
//! SQLite gets them as its own kind, so that nothing is allocated on the way.

use rusqlite::types::ToSql;

/// Something that gives the parameters of a statement.
pub trait Params {
    /// What SQLite takes.
    type Sqlite: rusqlite::Params;

    /// For SQLite.
    fn sqlite(self) -> Self::Sqlite;

    /// Calls `run` with them.
    fn with<R>(self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R;
}

impl Params for () {
    type Sqlite = ();

    fn sqlite(self) {}

    fn with<R>(self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        run(&[])
    }
}

/// What `params!` makes.
impl<'p> Params for &'p [&'p dyn ToSql] {
    type Sqlite = Self;

    fn sqlite(self) -> Self {
        self
    }

    fn with<R>(self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        run(self)
    }
}

impl<T: ToSql, const N: usize> Params for [T; N]
where
    [T; N]: rusqlite::Params,
{
    type Sqlite = Self;

    fn sqlite(self) -> Self {
        self
    }

    fn with<R>(self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        run(&self.each_ref().map(|value| value as &dyn ToSql))
    }
}

/// Parameters from an iterator.
#[derive(Debug)]
pub struct ParamsFromIter<I>(I);

/// Takes as many parameters as there are items.
pub fn params_from_iter<I>(items: I) -> ParamsFromIter<I::IntoIter>
where
    I: IntoIterator,
    I::Item: ToSql,
{
    ParamsFromIter(items.into_iter())
}

impl<I> Params for ParamsFromIter<I>
where
    I: Iterator,
    I::Item: ToSql,
{
    type Sqlite = rusqlite::ParamsFromIter<I>;

    fn sqlite(self) -> Self::Sqlite {
        rusqlite::params_from_iter(self.0)
    }

    fn with<R>(self, run: impl FnOnce(&[&dyn ToSql]) -> R) -> R {
        let values: Vec<I::Item> = self.0.collect();
        let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
        run(&values)
    }
}
