//! Which operations run beside each other, and which do not.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use dos_testing::Postgres;
use futures_util::future::join_all;
use tokio::runtime::Runtime;

use super::{Refused, open};
use crate::{Connection, Error, Scope, Writer};

/// For two operations that wait for each other.
const MEETING: Duration = Duration::from_secs(20);

fn with_rows(postgres: &Postgres) -> String {
    let address = postgres.database();
    let (writer, thread) = open(&address);
    drop(writer);
    thread.join();
    postgres.sql(&address, "INSERT INTO n SELECT id, 0 FROM generate_series(1, 12) AS id");
    address
}

fn value(connection: &Connection<'_>, id: i64) -> Result<i64, Error> {
    connection.query_row("SELECT value FROM n WHERE id = ?1", [id], |row| row.get(0))
}

/// Reads, then writes: two at once would read the same.
fn raise(connection: &Connection<'_>, id: i64) -> Result<(), Error> {
    let value = value(connection, id)?;
    connection.execute("UPDATE n SET value = ?2 WHERE id = ?1", [id, value + 1]).map(drop)
}

async fn raise_two(writer: &Writer, (one, other): (i64, i64)) -> Result<(), Refused> {
    let work = move |connection: &Connection<'_>| {
        for id in [one, other] {
            connection.need(id)?;
            raise(connection, id)?;
        }
        Ok(())
    };
    writer.call_then(Scope::Keys(vec![one, other]), work, |()| ()).await
}

#[test]
fn operations_with_a_key_in_common_run_one_after_the_other() {
    let Some(postgres) = Postgres::shared("operations_with_a_key_in_common_run_one_after_the_other") else {
        return;
    };
    let address = with_rows(&postgres);
    let processes = [open(&address), open(&address)];
    Runtime::new().unwrap().block_on(async {
        // Every pair, in both orders, from two processes: many have one of two keys in common.
        let pairs = (0..240_i64).map(|step| (1 + step % 12, 1 + (step % 12 + 1 + step / 12 % 11) % 12));
        let both = pairs.flat_map(|pair| processes.iter().map(move |(writer, _)| raise_two(writer, pair)));
        for done in join_all(both).await {
            done.unwrap();
        }
        // And what needs everything among them.
        let sums = Arc::new(AtomicU64::new(0));
        let everything = |writer: Writer| {
            let sums = Arc::clone(&sums);
            let work = move |connection: &Connection<'_>| {
                let sum = |connection: &Connection<'_>| -> Result<i64, Error> {
                    connection.query_row("SELECT sum(value) FROM n", (), |row| row.get(0))
                };
                let before = sum(connection)?;
                (1..=12).try_for_each(|id| raise(connection, id))?;
                assert_eq!(sum(connection)?, before + 12, "alone");
                sums.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Refused>(())
            };
            async move { writer.call_then(Scope::Whole, work, |()| ()).await }
        };
        let among = (0..120_i64).flat_map(|step| {
            let pair = (1 + step % 12, 1 + (step + 5) % 12);
            processes.iter().enumerate().map(move |(process, (writer, _))| (process, step, pair, writer))
        });
        let among = among.map(async |(process, step, pair, writer)| {
            if step % 8 == 0 && process == 0 {
                everything(writer.clone()).await
            } else {
                raise_two(writer, pair).await
            }
        });
        for done in join_all(among).await {
            done.unwrap();
        }
        assert!(sums.load(Ordering::Relaxed) >= 15);
    });
    let expected = 240 * 2 * 2 + 15 * 12 + (240 - 15) * 2;
    assert_eq!(postgres.sql(&address, "SELECT sum(value) FROM n"), expected.to_string());
    for (writer, thread) in processes {
        drop(writer);
        thread.join();
    }
}

/// Two meet inside their transactions. In one lane, or under one lock, they could not.
#[test]
fn operations_without_a_key_in_common_run_beside_each_other() {
    let Some(postgres) = Postgres::shared("operations_without_a_key_in_common_run_beside_each_other") else {
        return;
    };
    let address = with_rows(&postgres);
    let (one, other) = (open(&address), open(&address));
    let meet = |writers: [Writer; 2], keys: [Vec<i64>; 2]| {
        let (here, there) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
        let ends =
            [(here.0, there.1), (there.0, here.1)].map(|(tell, hear)| (tell, Arc::new(Mutex::new(hear))));
        let met = writers.into_iter().zip(keys).zip(ends).map(async |((writer, keys), (tell, hear))| {
            let id = keys.first().copied().unwrap_or(12);
            let work = move |connection: &Connection<'_>| {
                raise(connection, id)?;
                tell.send(()).unwrap();
                Ok::<_, Refused>(hear.lock().unwrap().recv_timeout(MEETING).is_ok())
            };
            writer.call_then(Scope::Keys(keys), work, |_| ()).await.unwrap()
        });
        Runtime::new().unwrap().block_on(join_all(met))
    };
    let (here, there) = (one.0.clone(), other.0.clone());
    assert_eq!(meet([here.clone(), here.clone()], [vec![1, 7], vec![2, 8]]), [true, true], "of one process");
    assert_eq!(meet([here.clone(), there.clone()], [vec![1, 8], vec![7, 2]]), [true, true], "of two");
    assert_eq!(meet([here, there], [vec![], vec![3]]), [true, true], "what needs no key waits for none");
    for (writer, thread) in [one, other] {
        drop(writer);
        thread.join();
    }
}

#[test]
fn an_operation_that_needs_more_than_its_keys_is_undone_and_done_anew_with_everything() {
    let name = "an_operation_that_needs_more_than_its_keys_is_undone_and_done_anew_with_everything";
    let Some(postgres) = Postgres::shared(name) else { return };
    let address = with_rows(&postgres);
    let (writer, thread) = open(&address);
    let runs = Arc::new(Mutex::new(Vec::new()));
    let call = |scope: Scope, need: Option<i64>| {
        let (writer, runs) = (writer.clone(), Arc::clone(&runs));
        let work = move |connection: &Connection<'_>| {
            raise(connection, 1)?;
            let needed = need.map_or_else(|| connection.need_whole(), |key| connection.need(key));
            runs.lock().unwrap().push((connection.is_shared(), needed.is_ok()));
            // What it answers does not count.
            Ok::<_, Refused>(needed.is_ok())
        };
        async move { writer.call_then(scope, work, |_| ()).await.unwrap() }
    };
    let runtime = Runtime::new().unwrap();
    let anew = [(true, false), (false, true)];
    for (what, scope, need, expected) in [
        ("what it has", vec![1, 2], Some(2), &[(true, true)][..]),
        ("another key", vec![1], Some(2), &anew),
        ("everything", vec![1, 2], None, &anew),
        ("a key without a row", vec![1, 99], Some(99), &anew),
    ] {
        assert!(runtime.block_on(call(Scope::Keys(scope), need)), "{what}");
        assert_eq!(std::mem::take(&mut *runs.lock().unwrap()), expected, "{what}");
    }
    assert_eq!(postgres.sql(&address, "SELECT value FROM n WHERE id = 1"), "4", "each once");
    // Among others in one transaction, which stay.
    let all = (0..40_i64).map(|step| call(Scope::Keys(vec![1]), (step % 3 == 0).then_some(2).or(Some(1))));
    assert!(runtime.block_on(join_all(all)).into_iter().all(|is_done| is_done));
    assert_eq!(postgres.sql(&address, "SELECT value FROM n WHERE id = 1"), "44");
    drop(writer);
    thread.join();
}
