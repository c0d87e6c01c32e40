//! Pages of peers and their images, by key: any page costs the same, however deep.

use std::{collections::HashSet, fmt, sync::Arc};

use dos_protocol::{
    ImageName, ImageNo, PeerId, Timestamp,
    directory::{Cursor, Page},
    model::{ImageInfo, PeerInfo},
};
use dos_sql::{self as sql, Connection, params};

use super::{Refusal, Store, grants, peers, requests, row};
use crate::rules::{grants::access, names::PeerRecord};

/// Tells of a peer, and the moment at which it was last seen as far as is written down, whether it is listed.
pub type Filter = Arc<dyn Fn(PeerId, Timestamp) -> bool + Send + Sync>;

/// Which peers a page is made of.
#[derive(Clone)]
pub enum Peers {
    /// All of them.
    All,
    /// Those that this lets pass. It is called for one candidate after the other, and knows who is online.
    Passing(Filter),
    /// These, in the order of their IDs.
    These(Vec<PeerId>),
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::Passing(_) => "Passing",
            Self::These(_) => "These",
        })
    }
}

/// A page that is wanted.
#[derive(Debug, Clone)]
pub struct PageQuery {
    /// The peer that gets the page.
    pub caller: PeerId,
    /// From which peers.
    pub peers: Peers,
    /// Where the last page ended.
    pub after: Option<Cursor>,
    /// Entries wanted.
    pub limit: u32,
}

/// Peers looked at for one page at most, where a filter passes many over: the page is then short, and its cursor goes on.
const SCAN_MAX: u32 = 20_000;

impl Store {
    /// A page of peers and their images. An entry is an image, or a peer without any.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn page(&self, query: PageQuery) -> Result<Page, Refusal> {
        self.read(move |connection| page(connection, &query)).await
    }
}

impl Store {
    /// Images as far as the caller sees them, the newest first, of all owners or of one: those before this one, at most `limit`; with
    /// their owners, and where to go on if there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn newest(
        &self,
        caller: PeerId,
        owner: Option<PeerId>,
        (before, limit): (Option<ImageNo>, u32),
    ) -> Result<(Vec<PeerInfo>, Option<ImageNo>), Refusal> {
        self.read(move |connection| {
            let mut images = newest(connection, (caller, owner), (before, limit.saturating_add(1)))?;
            let next = if row::cut(&mut images, limit) { images.last().map(|image| image.no) } else { None };
            let mut peers = with_owners(connection, images)?;
            set_access(connection, caller, &mut peers)?;
            Ok((peers, next))
        })
        .await
    }
}

fn page(connection: &Connection, query: &PageQuery) -> Result<Page, Refusal> {
    let mut entries = query.limit;
    let mut peers = Vec::new();
    let mut next = None;
    // The peer on which the last page ended comes again if it has more images.
    let mut skip = query.after.clone();
    let candidates = candidates(connection, query)?;
    for (index, mut peer) in candidates.found.into_iter().enumerate() {
        if entries == 0 {
            next = peers.last().map(last_of);
            break;
        }
        let resumed = skip.take().filter(|cursor| cursor.peer == peer.id && index == 0);
        match resumed.map(|cursor| cursor.image) {
            None => peer.images = images(connection, (query.caller, peer.id), None, entries + 1)?,
            Some(None) => continue,
            Some(Some(last)) => {
                peer.images = images(connection, (query.caller, peer.id), Some(&last), entries + 1)?;
                if peer.images.is_empty() {
                    continue;
                }
            }
        }
        let wanted = usize::try_from(entries).unwrap_or(usize::MAX);
        if peer.images.len() > wanted {
            peer.images.truncate(wanted);
            next = Some(Cursor { peer: peer.id, image: peer.images.last().map(|image| image.name.clone()) });
            peers.push(peer);
            break;
        }
        entries -= u32::try_from(peer.images.len().max(1)).unwrap_or(entries).min(entries);
        peers.push(peer);
    }
    let next = next.or(candidates.more);
    set_access(connection, query.caller, &mut peers)?;
    Ok(Page { peers, next })
}

/// A cursor behind all of a peer.
fn last_of(peer: &PeerInfo) -> Cursor {
    Cursor { peer: peer.id, image: peer.images.last().map(|image| image.name.clone()) }
}

/// Peers that may be on a page, and where to go on if there may be more behind them.
struct Candidates {
    found: Vec<PeerInfo>,
    more: Option<Cursor>,
}

fn candidates(connection: &Connection, query: &PageQuery) -> Result<Candidates, Refusal> {
    // One more than entries: it tells whether there is a next page; and the one on which the last page ended.
    let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX).saturating_add(2);
    let from = query.after.as_ref().map_or(0, |cursor| row::peer_number(cursor.peer));
    let mut found = Vec::new();
    let mut more = None;
    if let Peers::These(ids) = &query.peers {
        let ids = ids.iter().map(|id| row::peer_number(*id)).filter(|id| *id >= from).take(wanted);
        let known = peers::by_ids(connection, &ids.collect::<Vec<_>>())?;
        found.extend(known.into_iter().map(PeerRecord::info));
        return Ok(Candidates { found, more });
    }
    let mut statement = connection.prepare(
        "SELECT id, name, last_seen_at, last_end, key FROM peers WHERE id >= ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = statement.query(params![from, SCAN_MAX])?;
    let mut scanned = 0;
    while let Some(row) = rows.next()? {
        scanned += 1;
        let (id, seen) = (row::peer(row, 0)?, row::time(row, 2)?);
        if scanned == SCAN_MAX {
            more = Some(Cursor { peer: id, image: None });
        }
        if let Peers::Passing(passes) = &query.peers
            && !passes(id, seen)
        {
            continue;
        }
        let name = row::peer_name(row, 1)?;
        found.push(PeerInfo {
            id,
            name,
            online: false,
            address: None,
            last_seen: Some(seen),
            online_since: None,
            last_end: peers::last_end(row, 3)?,
            images: Vec::new(),
            key: Some(row::bytes::<32>(row, 4)?.into()),
        });
        if found.len() >= wanted {
            break;
        }
    }
    Ok(Candidates { found, more })
}

/// Images of an owner, as far as the caller sees them. How many there are that it does not see costs it nothing, so that it cannot
/// tell either.
fn images(
    connection: &Connection,
    (caller, owner): (PeerId, PeerId),
    after: Option<&ImageName>,
    limit: u32,
) -> sql::Result<Vec<ImageInfo>> {
    let after = after.map_or("", ImageName::as_str);
    let key = params![row::peer_number(owner), after, limit, row::peer_number(caller)];
    let page = |from: &str| {
        let columns = row::IMAGE_COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM {from} AND name > ?2 AND CAST(?4 AS bigint) >= 0 ORDER BY name LIMIT ?3"
        );
        connection.prepare(&sql)?.query_map(key, row::listed)?.collect::<sql::Result<Vec<_>>>()
    };
    if owner == caller {
        return page("images WHERE owner = ?1");
    }
    let mut images = page("images WHERE owner = ?1 AND private = 0")?;
    images.extend(page(
        "images WHERE private = 1 AND no IN (
             SELECT image FROM grants WHERE viewer = ?4 AND owner = ?1 AND share IS NOT NULL)",
    )?);
    images.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    images.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(images)
}

/// As [`images`], of any owner or of one, by their numbers: an image has a higher one than all that were published before it.
fn newest(
    connection: &Connection,
    (caller, owner): (PeerId, Option<PeerId>),
    (before, limit): (Option<ImageNo>, u32),
) -> sql::Result<Vec<ImageInfo>> {
    let before = before.map_or(i64::MAX, |no| row::number(no.0));
    let owner = owner.map(row::peer_number);
    let key = params![before, limit, row::peer_number(caller), owner.unwrap_or_default()];
    let of_owner = if owner.is_some() { "owner = ?4" } else { "CAST(?4 AS bigint) = 0" };
    let page = |which: &str| {
        let columns = row::IMAGE_COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM images WHERE {which} AND {of_owner} AND no < ?1 AND CAST(?3 AS bigint) >= 0
             ORDER BY no DESC LIMIT ?2"
        );
        connection.prepare(&sql)?.query_map(key, row::listed)?.collect::<sql::Result<Vec<_>>>()
    };
    let mut images = page("private = 0")?;
    images.extend(page(
        "private = 1 AND (owner = ?3 OR no IN (SELECT image FROM grants WHERE viewer = ?3 AND share IS NOT NULL))",
    )?);
    images.sort_unstable_by_key(|image| std::cmp::Reverse(image.no));
    images.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(images)
}

/// Puts images that follow each other below their owners.
fn with_owners(connection: &Connection, images: Vec<ImageInfo>) -> sql::Result<Vec<PeerInfo>> {
    let mut owners: Vec<i64> = images.iter().map(|image| row::peer_number(image.owner)).collect();
    owners.sort_unstable();
    owners.dedup();
    let owners: Vec<PeerInfo> =
        peers::by_ids(connection, &owners)?.into_iter().map(PeerRecord::info).collect();
    let mut peers: Vec<PeerInfo> = Vec::new();
    for image in images {
        match peers.last_mut() {
            Some(last) if last.id == image.owner => last.images.push(image),
            _ => {
                let Some(owner) = owners.iter().find(|owner| owner.id == image.owner) else { continue };
                peers.push(PeerInfo { images: vec![image], ..owner.clone() });
            }
        }
    }
    Ok(peers)
}

/// Says of every image on the page what the caller may do with it. Two range scans find what it has among the owners on the
/// page, so that only images for which there is something are looked up.
fn set_access(connection: &Connection, caller: PeerId, peers: &mut [PeerInfo]) -> Result<(), Refusal> {
    let ids = || peers.iter().map(|peer| peer.id);
    let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(()) };
    let others = || peers.iter().filter(|peer| peer.id != caller);
    let listed = |has: HashSet<ImageNo>| -> Vec<ImageNo> {
        let images = others().flat_map(|peer| peer.images.iter().map(|image| image.no));
        images.filter(|image| has.contains(image)).collect()
    };
    let granted = listed(images_of(connection, GRANTED, caller, (first, last))?);
    let requested = listed(images_of(connection, REQUESTED, caller, (first, last))?);
    let grants = grants::of_images(connection, caller, &granted)?;
    let last_states = requests::last_states(connection, caller, &requested)?;
    let now = Timestamp::now();
    for image in peers.iter_mut().filter(|peer| peer.id != caller).flat_map(|peer| peer.images.iter_mut()) {
        let last = last_states.get(&image.no).copied();
        image.access = Some(access(grants.get(&image.no), last, now));
    }
    Ok(())
}

const GRANTED: &str = "SELECT image FROM grants WHERE viewer = ?1 AND owner BETWEEN ?2 AND ?3";
const REQUESTED: &str = "SELECT image FROM requests WHERE viewer = ?1 AND owner BETWEEN ?2 AND ?3";

fn images_of(
    connection: &Connection,
    sql: &str,
    caller: PeerId,
    (first, last): (PeerId, PeerId),
) -> sql::Result<HashSet<ImageNo>> {
    let mut statement = connection.prepare(sql)?;
    let key = params![row::peer_number(caller), row::peer_number(first), row::peer_number(last)];
    statement.query_map(key, |row| row::unsigned(row, 0).map(ImageNo))?.collect()
}
