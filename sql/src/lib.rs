//! One SQL for two engines: what a store speaks to SQLite on the disk of one server, or to PostgreSQL on several.
//!
//! The store has one text for each statement, with `?1` for parameters; under it is a connection of either engine, with one
//! transaction an operation and group commit. What always holds: an operation is answered as done only after the commit that contains
//! it is durable. What runs after a commit runs in the order of the operations, as far as these have a key in common. Values are those of SQLite (integers, texts,
//! blobs); what PostgreSQL has beyond that is not used.

mod connection;
mod error;
mod params;
mod postgres;
mod row;
mod scope;
mod store;

pub use connection::{Connection, MappedRows, Rows, Statement};
pub use dos_sqlite::WriterStats;
pub use error::{Error, OpenError, Optional, StoreError};
pub use params::{Params, ParamsFromIter, params_from_iter};
pub use postgres::{
    Address, Durability, LaneThreads, Lanes, PostgresError, PostgresSchema, Secrets, Server, Session,
    Sessions, off_the_runtime,
};
pub use row::Row;
pub use rusqlite::{
    params,
    types::{FromSql, ToSql, Value, ValueRef},
};
pub use scope::Scope;
pub use store::{Readers, Writer, WriterThread};

/// What a statement gives.
pub type Result<T> = std::result::Result<T, Error>;
