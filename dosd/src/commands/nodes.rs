//! `dosd nodes`: the servers of a directory on several of them.

use dos_protocol::admin::{FromDosd, Node, ToDosd};
use serde_json::{Value, json};

use super::{
    Failure, PATIENCE, Screen, ask,
    output::{List, or_dash, or_null},
    unexpected,
};
use crate::cli::AdminArgs;

const COLUMNS: &[&str] = &["ADDRESS", "STATE", "PEERS", "CLUSTER", "SINCE", "VERSION"];

pub(super) fn run(options: AdminArgs, screen: &mut Screen) -> Result<(), Failure> {
    let FromDosd::Nodes(nodes) = ask(options.place, &ToDosd::Nodes, Some(PATIENCE))? else {
        return Err(unexpected());
    };
    let mut list = List::new(screen, "nodes", COLUMNS);
    list.page(nodes.iter().map(row).collect())?;
    list.end()
}

fn row(node: &Node) -> (Value, Vec<String>) {
    let object = json!({
        "address": *node.address,
        "state": node.state.as_str(),
        "peers": node.peers,
        "cluster": or_null(node.cluster.as_ref()),
        "since": node.since.to_string(),
        "version": *node.version,
    });
    let cells = vec![
        node.address.to_string(),
        node.state.as_str().into(),
        node.peers.to_string(),
        or_dash(node.cluster.as_ref()),
        node.since.to_string(),
        node.version.to_string(),
    ];
    (object, cells)
}
