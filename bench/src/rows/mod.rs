//! What is measured, a file each. Each measures the raw limit in the same run, alternately with ours.

mod cluster;
mod connects;
mod fetch;
mod list;
mod memory;
mod messages;
mod postgres;
mod presence;
mod previews;
mod push;
mod reconnect;
mod share;
mod spend;
mod status;
mod sync;
mod wan;

use std::{future::Future, pin::Pin};

pub(crate) use cluster::Options as ClusterOptions;
pub(crate) use fetch::timed;

use crate::{lab::Lab, table::Row};

type Measuring<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Vec<Row>>> + 'a>>;

/// A measurement that can be asked for by name.
pub(crate) struct Measurement {
    /// On the command line.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) about: &'static str,
    /// Does it.
    pub(crate) measure: for<'a> fn(&'a Lab) -> Measuring<'a>,
}

/// All of them, in the order in which they run.
pub(crate) const ROWS: [Measurement; 16] = [
    Measurement {
        name: "sync",
        about: "what the disk takes for a commit",
        measure: |lab| Box::pin(sync::measure(lab)),
    },
    Measurement { name: "memory", about: "idle sessions", measure: |lab| Box::pin(memory::measure(lab)) },
    Measurement { name: "connects", about: "new sessions", measure: |lab| Box::pin(connects::measure(lab)) },
    Measurement {
        name: "spend",
        about: "views, durably counted",
        measure: |lab| Box::pin(spend::measure(lab)),
    },
    Measurement {
        name: "postgres",
        about: "the store on a database server beside the one in a file",
        measure: |lab| Box::pin(postgres::measure(lab)),
    },
    Measurement {
        name: "cluster",
        about: "several nodes on several database servers",
        measure: |lab| Box::pin(cluster::measure(lab)),
    },
    Measurement { name: "push", about: "a right on its way", measure: |lab| Box::pin(push::measure(lab)) },
    Measurement {
        name: "reconnect",
        about: "everybody back after a crash of the directory",
        measure: |lab| Box::pin(reconnect::measure(lab)),
    },
    Measurement {
        name: "messages",
        about: "sealed messages",
        measure: |lab| Box::pin(messages::measure(lab)),
    },
    Measurement {
        name: "share",
        about: "many grants with one command",
        measure: |lab| Box::pin(share::measure(lab)),
    },
    Measurement {
        name: "status",
        about: "the control command",
        measure: |lab| Box::pin(status::measure(lab)),
    },
    Measurement {
        name: "list",
        about: "pages of a large directory",
        measure: |lab| Box::pin(list::measure(lab)),
    },
    Measurement {
        name: "presence",
        about: "telling subscribers who comes and goes",
        measure: |lab| Box::pin(presence::measure(lab)),
    },
    Measurement {
        name: "fetch",
        about: "large images on their way",
        measure: |lab| Box::pin(fetch::measure(lab)),
    },
    Measurement { name: "wan", about: "long and lossy paths", measure: |lab| Box::pin(wan::measure(lab)) },
    Measurement { name: "previews", about: "previews", measure: |lab| Box::pin(previews::measure(lab)) },
];
