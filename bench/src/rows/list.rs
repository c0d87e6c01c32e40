//! Pages of a large directory through the protocol: the first one, and ones at random places deep inside, alternately.
//!
//! The directory is written with SQL into a fresh database that dosd's own store has made. Previews are left out: a
//! listing does not touch their table. The asker has a right to one image in a thousand.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context as _, bail, ensure};
use dos_protocol::{
    PeerId,
    directory::{Answer, Cursor, List, Op},
    key::SecretKey,
    limits::PAGE_DEFAULT,
};
use dosd::{live::Live, store::Store};
use rusqlite::{Connection, params};
use tokio::task::spawn_blocking;

use crate::{
    dice::Dice,
    lab::{ANYWHERE, Lab},
    load::{Caller, Entry, Session},
    stats::{micros, percentile},
    table::{Bar, Row, Unit},
};

/// One image in this many is shared with the caller.
const SHARED_EVERY: u64 = 1_000;

/// Three rows: p50 against the first page, p50 itself, p99.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (dosd, _) = lab.pair("list").await?;
    let peers = lab.pick(1_000_000, 100_000);
    let asker = SecretKey::generate()?;
    let (database, key) = (dosd.database(), *asker.public()?.as_bytes());
    let (ids, images) = spawn_blocking(move || fill(&database, peers, key)).await??;
    let server = dosd.start(ANYWHERE).await?;
    let mut session = Caller::new(&asker, server.target)?.open(&Entry::SignIn).await?;
    let mut dice = Dice::new(2);
    let (mut first, mut deep) = (Vec::new(), Vec::new());
    for round in 0..lab.pick(1_050, 150) {
        let place = usize::try_from(dice.below(u64::try_from(ids.len())?))?;
        let peer = ids.get(place).copied().context("no such place")?;
        let times =
            (page(&mut session, None).await?, page(&mut session, Some(Cursor { peer, image: None })).await?);
        // The first rounds warm both sides up.
        if round >= 50 {
            first.push(times.0);
            deep.push(times.1);
        }
    }
    let row = |name: &str, share: f64| {
        Row::new(format!("list, page of {PAGE_DEFAULT} deep in {peers} peers, {name}"), Unit::Micros)
            .ours(percentile(&deep, share))
            .raw(percentile(&first, share), "first page")
            .note(format!("{images} images"))
    };
    Ok(vec![
        row("p50", 0.5).bar(Bar::RatioAtMost(1.5)),
        row("p50 itself", 0.5).bar(Bar::Below(1_000.0)),
        row("p99", 0.99),
    ])
}

/// Microseconds that a page takes.
async fn page(session: &mut Session, after: Option<Cursor>) -> anyhow::Result<f64> {
    let list = List {
        peer: None,
        seen_since: None,
        online: false,
        after,
        limit: PAGE_DEFAULT,
        seen_within_ms: None,
    };
    let start = Instant::now();
    let answer = session.ask(Op::List(list)).await?;
    let time = micros(start.elapsed());
    let Answer::Page(page) = answer else { bail!("no page") };
    ensure!(!page.peers.is_empty(), "an empty page");
    Ok(time)
}

/// Makes a directory of `count` peers with three images each on average, in the order of its tables, in one transaction.
/// Gives the peers and the number of images.
fn fill(database: &Path, count: u64, asker: [u8; 32]) -> anyhow::Result<(Vec<PeerId>, u64)> {
    let (store, writer) = Store::open(database, Arc::new(Live::default()))?;
    drop(store);
    writer.join();
    let mut connection = Connection::open(database)?;
    // The asker is in the middle, and the rights come as their images do.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    let mut dice = Dice::new(1);
    let ids = peer_ids(count, &mut dice);
    let asker_id = ids.get(ids.len() / 2).copied().context("no peers")?;
    let transaction = connection.transaction()?;
    let images = fill_tables(&transaction, &ids, (asker_id, asker), &mut dice)?;
    transaction.execute("UPDATE counters SET last = ?1 WHERE name = 'image'", [images.cast_signed()])?;
    transaction.commit()?;
    Ok((ids, images))
}

/// IDs all over their range, in order.
fn peer_ids(count: u64, dice: &mut Dice) -> Vec<PeerId> {
    let stride = PeerId::COUNT / count;
    (0..count)
        .filter_map(|number| {
            let start = number * stride + dice.below(stride / 2);
            (start..start + stride / 2).find_map(PeerId::from_number)
        })
        .collect()
}

fn fill_tables(
    connection: &Connection,
    ids: &[PeerId],
    (asker, asker_key): (PeerId, [u8; 32]),
    dice: &mut Dice,
) -> anyhow::Result<u64> {
    let mut peer = connection.prepare(
        "INSERT INTO peers(id, key, name, registered_at, last_seen_at, images) VALUES(?1, ?2, ?3, 0, ?4, ?5)",
    )?;
    let mut image = connection.prepare(
        "INSERT INTO images(owner, name, no, image_id, format, width, height, bytes, sealed_hash, sealed_bytes,
             preview_format, preview_width, preview_height, preview_bytes, published_at)
         VALUES(?1, ?2, ?3, ?4, 'jpeg', 4000, 3000, 5000000, ?5, 5000900, 'jpeg', 256, 192, 8192, 0)",
    )?;
    let mut grant = connection.prepare(
        "INSERT INTO grants(image, viewer, owner, split, share, views_left, views_used, revision)
         VALUES(?1, ?2, ?3, ?4, ?5, 5, 0, 1)",
    )?;
    let mut no = 0u64;
    for (number, id) in (0u64..).zip(ids) {
        let owner = id.number().cast_signed();
        let key = if *id == asker { asker_key } else { dice.bytes() };
        let name = (number % 3 != 0).then(|| format!("peer-{number}"));
        let images = dice.below(7);
        peer.execute(params![owner, key.as_slice(), name, number.cast_signed(), images.cast_signed()])?;
        for which in 0..images {
            no += 1;
            let (plain, sealed): ([u8; 32], [u8; 32]) = (dice.bytes(), dice.bytes());
            let name = format!("holiday-{which}");
            image.execute(params![owner, name, no.cast_signed(), plain.as_slice(), sealed.as_slice()])?;
            if no.is_multiple_of(SHARED_EVERY) && *id != asker {
                let (split, share): ([u8; 16], [u8; 32]) = (dice.bytes(), dice.bytes());
                let viewer = asker.number().cast_signed();
                grant.execute(params![
                    no.cast_signed(),
                    viewer,
                    owner,
                    split.as_slice(),
                    share.as_slice()
                ])?;
            }
        }
    }
    Ok(no)
}
