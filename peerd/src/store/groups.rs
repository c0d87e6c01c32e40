//! Groups of peers, which only this peer knows.
//!
//! What always holds: a group has at least one member, and their numbers are bounded.

use dos_protocol::{
    PeerId, PeerName,
    control::{Group, Member},
    limits::{GROUP_MEMBERS_MAX, GROUPS_MAX},
};
use rusqlite::{Connection, params};

use super::{Error, Store, execute, id, peer_of, stored::peer_name};

/// What came of a change to a group.
#[derive(Debug, PartialEq)]
pub(crate) enum GroupChanged {
    /// The group as it is now; without members there is none any more.
    Group(Group),
    /// There would be too many members, or too many groups.
    TooMany,
}

impl Store {
    /// Adds members to a group and takes others out of it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn change_group(
        &self,
        name: PeerName,
        add: Vec<Member>,
        remove: Vec<PeerId>,
    ) -> Result<GroupChanged, Error> {
        self.write(move |connection| {
            // Counted before: what is refused changes nothing.
            let mut members = members_of(connection, &name)?;
            members
                .retain(|member| !remove.contains(&member.id) && !add.iter().any(|new| new.id == member.id));
            members.extend(add.iter().cloned());
            let groups: u32 = connection.query_row(
                "SELECT count(DISTINCT name) FROM group_members WHERE name <> ?1",
                [name.as_str()],
                |row| row.get(0),
            )?;
            if u64::try_from(members.len()).unwrap_or(u64::MAX) > GROUP_MEMBERS_MAX.into()
                || (groups >= GROUPS_MAX && !members.is_empty())
            {
                return Ok(GroupChanged::TooMany);
            }
            for peer in remove {
                let sql = "DELETE FROM group_members WHERE name = ?1 AND peer = ?2";
                execute(connection, sql, params![name.as_str(), id(peer)])?;
            }
            for member in add {
                let sql = "INSERT OR REPLACE INTO group_members (name, peer, known_as) VALUES (?1, ?2, ?3)";
                let known_as = member.name.as_ref().map(PeerName::as_str);
                execute(connection, sql, params![name.as_str(), id(member.id), known_as])?;
            }
            Ok(GroupChanged::Group(Group { members: members_of(connection, &name)?, name }))
        })
        .await
    }

    /// All groups, by name.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn groups(&self) -> Result<Vec<Group>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT DISTINCT name FROM group_members ORDER BY name")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            let mut groups = Vec::new();
            for name in names {
                let name: PeerName = name?.parse().map_err(|_| Error::Damaged("group"))?;
                groups.push(Group { members: members_of(connection, &name)?, name });
            }
            Ok(groups)
        })
        .await
    }
}

fn members_of(connection: &Connection, group: &PeerName) -> Result<Vec<Member>, Error> {
    // A contact goes by the name under which its key is pinned.
    let sql = "SELECT peer, coalesce((SELECT name FROM pins WHERE pins.peer = group_members.peer), known_as)
               FROM group_members WHERE name = ?1 ORDER BY 2, 1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([group.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    let mut members = Vec::new();
    for row in rows {
        let (peer, name): (i64, Option<String>) = row?;
        members.push(Member { id: peer_of(peer)?, name: peer_name(name)? });
    }
    Ok(members)
}
