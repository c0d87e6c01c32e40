//! What a lane promises, on a real server that is killed, stopped and cut off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dos_testing::{Postgres, Signal};
use futures_util::future::join_all;
use tokio::runtime::Runtime;

use super::*;
use crate::{Connection, OpenError, Scope, StoreError, Writer};

mod scopes;

const SCHEMA: PostgresSchema = PostgresSchema {
    application: "test",
    first: 3,
    tables: "CREATE TABLE n(id bigint PRIMARY KEY, value bigint NOT NULL); CREATE TABLE total(sum bigint NOT NULL);
             INSERT INTO total VALUES(0)",
    steps: &[],
};

#[derive(Debug)]
enum Refused {
    Store(StoreError),
    Refused,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<dos_sqlite::StoreError> for Refused {
    fn from(error: dos_sqlite::StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl From<crate::Error> for Refused {
    fn from(error: crate::Error) -> Self {
        Self::Store(error.into())
    }
}

fn server(address: &str) -> Server {
    Server::new(&address.parse().unwrap(), &Secrets::default()).unwrap()
}

fn open(address: &str) -> (Writer, LaneThreads) {
    let session = Session::open(&server(address)).unwrap();
    SCHEMA.apply(&session).unwrap();
    let (lanes, threads) = Lanes::start(&server(address), session, "SELECT id FROM n WHERE id").unwrap();
    (Writer::Postgres(lanes), threads)
}

/// Adds one, which is no operation that may be done twice, and keeps the number that comes of it under `id`.
async fn add(writer: &Writer, id: i64) -> Result<i64, Refused> {
    let work = move |connection: &Connection<'_>| {
        let sql = "UPDATE total SET sum = sum + 1 RETURNING sum";
        let sum: i64 = connection.query_row(sql, (), |row| row.get(0))?;
        connection.execute("INSERT INTO n(id, value) VALUES(?1, ?2)", [id, sum])?;
        if id < 0 { Err(Refused::Refused) } else { Ok(sum) }
    };
    writer.call_then(Scope::Whole, work, |_| ()).await
}

fn sum(postgres: &Postgres, address: &str) -> String {
    postgres.sql(address, "SELECT sum || ' ' || (SELECT count(*) FROM n) FROM total")
}

#[test]
fn a_refused_operation_is_undone_and_those_beside_it_stay() {
    let Some(postgres) = Postgres::shared("a_refused_operation_is_undone_and_those_beside_it_stay") else {
        return;
    };
    let address = postgres.database();
    let (writer, thread) = open(&address);
    let order = Arc::new(AtomicU64::new(0));
    Runtime::new().unwrap().block_on(async {
        let all = (1..=200).map(|id: i64| {
            let order = Arc::clone(&order);
            let writer = &writer;
            async move {
                let id = if id % 3 == 0 { -id } else { id };
                let work = move |connection: &Connection<'_>| {
                    let sql = "UPDATE total SET sum = sum + 1 RETURNING sum";
                    let sum: i64 = connection.query_row(sql, (), |row| row.get(0))?;
                    if id < 0 { Err(Refused::Refused) } else { Ok(sum) }
                };
                let then = move |sum: &mut i64| {
                    let before = order.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(u64::try_from(*sum).unwrap(), before + 1, "in order");
                };
                (id, writer.call_then(Scope::Whole, work, then).await)
            }
        });
        for (id, result) in join_all(all).await {
            assert_eq!(result.is_ok(), id > 0, "{id}: {result:?}");
        }
        assert!(matches!(add(&writer, -1).await, Err(Refused::Refused)), "alone");
        let failed = writer.call_then(
            Scope::Whole,
            |c| Ok::<_, Refused>(c.execute("INSERT INTO n VALUES(1, NULL)", ())?),
            |_| (),
        );
        assert!(matches!(failed.await, Err(Refused::Store(StoreError::Failed(_)))), "a statement that fails");
    });
    let stats = writer.stats();
    assert!(stats.commits < stats.operations, "{stats:?}");
    assert_eq!(sum(&postgres, &address), "134 0");
    drop(writer);
    thread.join();
}

#[test]
fn two_processes_write_one_after_the_other() {
    let Some(postgres) = Postgres::shared("two_processes_write_one_after_the_other") else { return };
    let address = postgres.database();
    let lanes = [open(&address), open(&address)];
    Runtime::new().unwrap().block_on(async {
        // Read, then write: without the lock two would read the same.
        let one = |writer: Writer| async move {
            let work = |connection: &Connection<'_>| {
                let sum: i64 = connection.query_row("SELECT sum FROM total", (), |row| row.get(0))?;
                connection.execute("UPDATE total SET sum = ?1", [sum + 1])?;
                Ok::<_, Refused>(sum)
            };
            for _ in 0..50 {
                writer.call_then(Scope::Whole, work, |_| ()).await.unwrap();
            }
        };
        join_all(lanes.iter().flat_map(|(writer, _)| [writer.clone(), writer.clone()]).map(one)).await;
    });
    assert_eq!(sum(&postgres, &address), "200 0");
    for (writer, thread) in lanes {
        drop(writer);
        thread.join();
    }
}

#[test]
fn what_is_under_way_when_the_server_dies_is_done_once() {
    let Some(postgres) = Postgres::own("what_is_under_way_when_the_server_dies_is_done_once") else { return };
    let address = postgres.database();
    let (writer, thread) = open(&address);
    let count = 600;
    let done = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (writer, done) = (&writer, &done);
        let adding = scope.spawn(move || {
            Runtime::new().unwrap().block_on(async {
                let one = |first: i64| async move {
                    for id in (first..count).step_by(6) {
                        add(writer, id).await.unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                };
                join_all((0..6).map(one)).await;
            });
        });
        for part in [100, 300] {
            dos_testing::wait_until("some are done", || done.load(Ordering::Relaxed) >= part);
            postgres.kill();
            postgres.start();
        }
        // Every session at once, as when the server is told to restart.
        postgres.sql(
            "postgres",
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname <> 'postgres'",
        );
        adding.join().unwrap();
    });
    assert_eq!(sum(&postgres, &address), format!("{count} {count}"));
    drop(writer);
    thread.join();
}

/// The wait for a standby that is not there is cancelled: the server calls that a success, with a warning.
#[test]
fn a_commit_with_a_warning_is_not_confirmed_until_one_behind_it_is() {
    let Some(postgres) = Postgres::own("a_commit_with_a_warning_is_not_confirmed_until_one_behind_it_is")
    else {
        return;
    };
    let address = postgres.database();
    let (writer, thread) = open(&address);
    postgres.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    postgres.sql("postgres", "SELECT pg_reload_conf()");
    dos_testing::wait_until("the server waits for a standby", || {
        postgres.sql("postgres", "SHOW synchronous_standby_names") == "nobody"
    });
    let done = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (writer, told) = (&writer, Arc::clone(&done));
        let adding = scope.spawn(move || {
            Runtime::new().unwrap().block_on(async { add(writer, 1).await.unwrap() });
            told.store(1, Ordering::Relaxed);
        });
        let cancel =
            "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        for _ in 0..3 {
            dos_testing::wait_until("a commit was cancelled", || postgres.sql("postgres", cancel) != "0");
        }
        assert_eq!(done.load(Ordering::Relaxed), 0, "it is on one disk alone");
        assert_eq!(sum(&postgres, &address), "1 1", "where it can be seen");
        postgres.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
        postgres.sql("postgres", "SELECT pg_reload_conf()");
        adding.join().unwrap();
    });
    assert_eq!(sum(&postgres, &address), "1 1");
    drop(writer);
    thread.join();
}

#[test]
fn a_stopped_server_makes_operations_unavailable_and_what_it_had_committed_is_followed_up() {
    let name = "a_stopped_server_makes_operations_unavailable_and_what_it_had_committed_is_followed_up";
    let Some(postgres) = Postgres::own(name) else { return };
    let address = postgres.database();
    let (writer, thread) = open(&address);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { add(&writer, 1).await.unwrap() });
    assert!(writer.is_up());
    postgres.kill();
    let began = Instant::now();
    let refused = runtime.block_on(add(&writer, 2));
    assert!(matches!(refused, Err(Refused::Store(StoreError::Unavailable(_)))), "{refused:?}");
    assert!(
        (TRIED_AGAIN..TRIED_AGAIN + Duration::from_secs(10)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    assert!(!writer.is_up());
    postgres.start();
    runtime.block_on(async { add(&writer, 3).await.unwrap() });
    assert!(writer.is_up());
    assert_eq!(sum(&postgres, &address), "2 2");
    drop(writer);
    thread.join();
}

/// A server that is stopped takes what is sent and says nothing: only the time shows it.
#[test]
fn what_a_stopped_server_does_not_answer_is_answered_when_it_goes_on() {
    let Some(postgres) = Postgres::own("what_a_stopped_server_does_not_answer_is_answered_when_it_goes_on")
    else {
        return;
    };
    let address = postgres.database();
    let (writer, thread) = open(&address);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { add(&writer, 1).await.unwrap() });
    postgres.signal_all(Signal::STOP);
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| runtime.block_on(join_all((2..50).map(|id| add(&writer, id)))));
        dos_testing::wait_until("the server is given up", || !writer.is_up());
        postgres.signal_all(Signal::CONT);
        assert!(adding.join().unwrap().iter().all(Result::is_ok));
    });
    assert_eq!(sum(&postgres, &address), "49 49");
    drop(writer);
    thread.join();
}

#[test]
fn the_tables_of_another_program_and_of_a_newer_one_are_refused() {
    let Some(postgres) = Postgres::shared("the_tables_of_another_program_and_of_a_newer_one_are_refused")
    else {
        return;
    };
    let session = |address: &str| Session::open(&server(address)).unwrap();
    let ours = postgres.database();
    assert_eq!(SCHEMA.apply(&session(&ours)).unwrap(), 0);
    assert_eq!(SCHEMA.apply(&session(&ours)).unwrap(), 3);
    let newer = PostgresSchema { steps: &["ALTER TABLE n ADD COLUMN more bigint"], ..SCHEMA };
    assert_eq!(newer.apply(&session(&ours)).unwrap(), 3);
    assert!(matches!(SCHEMA.apply(&session(&ours)), Err(OpenError::Newer { found: 4, known: 3 })));
    let other = PostgresSchema { application: "other", ..newer };
    assert!(matches!(other.apply(&session(&ours)), Err(OpenError::Foreign)));
    let foreign = postgres.database();
    postgres.sql(&foreign, "CREATE TABLE theirs()");
    assert!(matches!(SCHEMA.apply(&session(&foreign)), Err(OpenError::Foreign)));
    assert_eq!(postgres.sql(&foreign, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "1");
    let both = postgres.database();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| SCHEMA.apply(&session(&both)).unwrap());
        }
    });
}

#[test]
fn durability_is_what_the_server_is_set_to() {
    let Some(postgres) = Postgres::shared("durability_is_what_the_server_is_set_to") else { return };
    let address = postgres.database();
    let durability = || Session::open(&server(&address)).unwrap().durability().clone();
    assert!(durability().is_on_disk() && !durability().is_on_two());
    let name = address.rsplit('/').next().unwrap().to_owned();
    postgres.sql("postgres", &format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    assert!(!durability().is_on_disk());
}

#[test]
fn a_server_elsewhere_is_spoken_to_over_tls_with_its_authority_and_a_password() {
    let name = "a_server_elsewhere_is_spoken_to_over_tls_with_its_authority_and_a_password";
    let Some(postgres) = Postgres::own(name) else { return };
    let secured = postgres.secure("horse");
    let open = |host: &str, (authority, password): (Option<&std::path::Path>, &str)| {
        let address = format!("postgres://dosd@{host}:{}/postgres", secured.port);
        let authority = authority.map(|file| std::fs::read(file).unwrap().into());
        let secrets = Secrets { password: Some(password.into()), authority };
        Session::open(&Server::new(&address.parse().unwrap(), &secrets).unwrap()).map(|session| {
            let sql = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl AND version = 'TLSv1.3'";
            Connection::Postgres(&session).query_row(sql, (), |row| row.get::<i64>(0)).unwrap()
        })
    };
    let authority = Some(&*secured.authority);
    assert_eq!(open("localhost", (authority, "horse")).unwrap(), 1);
    for (why, host, how) in [
        ("another authority", "localhost", (Some(&*secured.stranger), "horse")),
        ("another name", "127.0.0.1", (authority, "horse")),
        ("another password", "localhost", (authority, "mule")),
        ("no TLS", "localhost", (None, "horse")),
    ] {
        let refused = open(host, how);
        assert!(matches!(refused, Err(PostgresError::NoPrimary(Some(_)))), "{why}: {refused:?}");
        assert!(!format!("{refused:?}").contains("horse"), "{why}: {refused:?}");
    }
    for none in ["", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"] {
        let secrets = Secrets { password: None, authority: Some(none.as_bytes().into()) };
        assert!(Server::new(&"postgres://a@b/c".parse().unwrap(), &secrets).is_err());
    }
}

#[test]
fn a_standby_is_not_written_to_and_one_that_is_gone_does_not_hold_up_the_other() {
    let name = "a_standby_is_not_written_to_and_one_that_is_gone_does_not_hold_up_the_other";
    let Some(postgres) = Postgres::shared(name) else { return };
    let address = postgres.database();
    let database = address.rsplit('/').next().unwrap().to_owned();
    let host = address.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
    let both = format!("postgres://dosd@%2Fnobody%2Fthere,{host}/{database}");
    assert!(Session::open(&server(&both)).is_ok());
    postgres.sql("postgres", &format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    let refused = Session::open(&server(&both)).unwrap_err();
    assert!(matches!(&refused, PostgresError::NoPrimary(Some(_))) && refused.is_passing(), "{refused:?}");
}
