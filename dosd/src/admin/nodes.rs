//! `nodes`: the servers of this directory, as this one sees them.

use dos_protocol::admin::{FromDosd, Node, NodeState};

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn nodes(&self, replies: &mut Replies) -> Result<(), Stop> {
        let (store, live) = (&self.directory.store, &self.directory.live);
        let own = store.node();
        let nodes = store.nodes().await?.into_iter().map(|node| {
            let is_own = Some(node.node) == own;
            let state = match is_own {
                true => NodeState::This,
                false if live.has_way(node.node) => NodeState::Linked,
                false => NodeState::Unlinked,
            };
            let peers = if is_own { live.count() } else { live.count_at(node.node) };
            Node {
                address: node.address,
                cluster: node.cluster,
                state,
                peers: u64::try_from(peers).unwrap_or(u64::MAX),
                since: node.since,
                version: node.version,
            }
        });
        Ok(replies.send(FromDosd::Nodes(nodes.collect())).await?)
    }
}
