//! What befalls a cluster: a server of it is killed, stopped or cut off, and comes back.

use std::fmt;

use anyhow::{Context as _, Result, bail};

use super::{Cluster, Databases};
use crate::{Backoff, Signal};

/// What is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A dosd.
    Node,
    /// The database server that takes writes: its machine, or, when killed, PostgreSQL's process there.
    Primary,
    /// A member of etcd.
    Etcd,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// SIGKILL.
    Kill,
    /// SIGSTOP to every process, later SIGCONT.
    Stop,
    /// The cable is out.
    Cut,
}

/// A fault that is there until it is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What is hit.
    pub part: Part,
    /// How.
    pub way: Way,
    /// Which of them, from 0 on.
    pub number: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.part {
            Part::Node => "dos",
            Part::Primary => "primary db",
            Part::Etcd => "etcd of db",
        };
        let way = match self.way {
            Way::Kill => "killed",
            Way::Stop => "stopped",
            Way::Cut => "cut off",
        };
        write!(f, "{name}{} {way}", self.number + 1)
    }
}

impl Cluster {
    /// What can befall this one.
    #[must_use]
    pub fn possible_faults(&self) -> Vec<(Part, Way)> {
        let mut possible = vec![
            (Part::Node, Way::Kill),
            (Part::Node, Way::Stop),
            (Part::Primary, Way::Kill),
            (Part::Primary, Way::Stop),
        ];
        if matches!(self.databases, Databases::Patroni(..)) {
            possible.extend([(Part::Etcd, Way::Kill), (Part::Etcd, Way::Stop)]);
            if self.place.can_cut() {
                possible.extend([(Part::Node, Way::Cut), (Part::Primary, Way::Cut)]);
            }
        }
        possible
    }

    /// Lets it happen, to a node or etcd of this number.
    ///
    /// # Errors
    /// If what is to be hit is not there.
    pub fn strike(&mut self, part: Part, way: Way, number: usize) -> Result<Fault> {
        let number = match (part, &self.databases) {
            (Part::Primary, Databases::Patroni(..)) => self.primary()?,
            _ => number,
        };
        let fault = Fault { part, way, number };
        let place = &self.place;
        match (part, &mut self.databases) {
            (Part::Node, _) => {
                let node = self.nodes.get_mut(number).context("there is no such node")?;
                match way {
                    Way::Kill => node.kill(),
                    Way::Stop => node.signal(Signal::STOP)?,
                    Way::Cut => place.cut(node.host)?,
                }
            }
            (Part::Primary, Databases::One(server, _)) => match way {
                Way::Kill => server.kill(),
                Way::Stop => server.signal_all(Signal::STOP),
                Way::Cut => bail!("it has no cable"),
            },
            (_, Databases::Patroni(databases, _)) => {
                let server = databases.get_mut(number).context("there is no such server")?;
                match (part, way) {
                    (Part::Etcd, Way::Kill) => server.kill_etcd(),
                    (Part::Etcd, Way::Stop) => server.signal_etcd(Signal::STOP)?,
                    (_, Way::Kill) => server.kill_postgres()?,
                    (_, Way::Stop) => server.signal_all(place, Signal::STOP)?,
                    (_, Way::Cut) => place.cut(server.host)?,
                }
            }
            (Part::Etcd, Databases::One(..)) => bail!("there is no etcd"),
        }
        Ok(fault)
    }

    /// Waits until another database server has taken over from the one that was hit; true if it has, within so long.
    pub fn another_primary(&self, fault: Fault, backoff: &mut Backoff) -> bool {
        loop {
            if self.primary().is_ok_and(|primary| primary != fault.number) {
                return true;
            }
            if !backoff.pause() {
                return false;
            }
        }
    }

    /// What was hit comes back.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn mend(&mut self, fault: Fault) -> Result<()> {
        let Fault { part, way, number } = fault;
        let place = &self.place;
        match (part, &mut self.databases) {
            (Part::Node, _) => {
                let node = self.nodes.get_mut(number).context("there is no such node")?;
                match way {
                    Way::Kill => self.start_node(number, &|| false)?,
                    Way::Stop => node.signal(Signal::CONT)?,
                    Way::Cut => place.mend(node.host)?,
                }
            }
            (_, Databases::One(server, _)) => match way {
                Way::Kill => server.start(),
                Way::Stop | Way::Cut => server.signal_all(Signal::CONT),
            },
            (_, Databases::Patroni(databases, shared)) => {
                let server = databases.get_mut(number).context("there is no such server")?;
                match (part, way) {
                    (Part::Etcd, Way::Kill) => server.start_etcd(shared, place)?,
                    (Part::Etcd, _) => server.signal_etcd(Signal::CONT)?,
                    // Patroni starts it again.
                    (_, Way::Kill) => {}
                    (_, Way::Stop) => server.signal_all(place, Signal::CONT)?,
                    (_, Way::Cut) => place.mend(server.host)?,
                }
            }
        }
        Ok(())
    }
}
