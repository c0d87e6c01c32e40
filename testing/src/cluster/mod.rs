//! A directory of several nodes on a database of several servers, all on this machine: started, disturbed and removed by whoever holds
//! the handle.
//!
//! Two forms: three PostgreSQL under Patroni over etcd with three nodes ([`Cluster::under_patroni`]), set up by the files of
//! `docs/cluster`; and one PostgreSQL with two nodes ([`Cluster::small`]). Programs of the first run in network namespaces if this is root.

mod database;
mod fault;
mod install;
mod node;
mod patroni;
mod place;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

pub use fault::{Fault, Part, Way};
pub use install::{install_packages, missing_packages, patroni};

use self::{
    database::{DATABASES, Database, Shared},
    node::{Node, Store},
    patroni::Member,
    place::{Host, Place},
};
use crate::{Backoff, Postgres, postgres::programs};

/// Three fresh servers come up and find each other within this time, also on a busy machine.
const FORMED_TIME_MAX: Duration = Duration::from_secs(240);
/// A cluster is whole again so long after a fault has gone.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(180);

/// The user and the name of the database.
const USER: &str = "dosd";

/// Of every node: everybody comes from one address here, as fast as it goes.
const UNLIMITED: [&str; 8] = [
    "--registration=open",
    "--registrations-per-minute=1000000",
    "--sessions-per-address=100000",
    "--handshakes-per-minute=100000000",
    "--requests-per-second=10000000",
    "--messages-per-minute=100000000",
    "--views-per-minute=1000000000",
    "--default-visibility=listed",
];

/// See the module.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: nodes, databases, the network, their files.
    nodes: Vec<Node>,
    databases: Databases,
    place: Place,
    home: Home,
    store: Store,
}

#[derive(Debug)]
enum Databases {
    Patroni(Vec<Database>, Shared),
    One(Postgres, String),
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All at once, before each is waited for.
        self.place.clear();
    }
}

#[derive(Debug)]
struct Home(PathBuf);

impl Home {
    fn new(parent: &Path) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if place::is_left_over(&entry.file_name().to_string_lossy()) {
                // Another one may be removing it, too.
                drop(fs::remove_dir_all(entry.path()));
            }
        }
        let path = parent.join(format!("{}{}-{number}", place::PREFIX, std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        // PostgreSQL's user passes through.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // It is in a place for such things.
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Cluster {
    /// Three PostgreSQL under Patroni, three nodes of this dosd, with files below `parent`. `is_over` ends the waiting.
    ///
    /// # Errors
    /// If something is missing or does not come up.
    pub fn under_patroni(
        dosd: &Path,
        patroni: PathBuf,
        parent: &Path,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let missing = missing_packages();
        ensure!(missing.is_empty(), "Debian's packages {} are missing", missing.join(", "));
        let hosts: Vec<_> = (0..DATABASES).map(Host::Database).chain((0..3).map(Host::Node)).collect();
        let (place, home) = (Place::new(&hosts)?, Home::new(parent)?);
        let shared = Shared::new(&home.0, patroni, &place)?;
        let databases =
            (0..DATABASES).map(|at| Database::new(at, &home.0, &shared, &place)).collect::<Result<_>>()?;
        let hosts: Vec<_> = (0..DATABASES).map(|at| place.address(Host::Database(at))).collect();
        let mut cluster = Self {
            nodes: Vec::new(),
            databases: Databases::Patroni(databases, shared),
            place,
            home,
            store: Store { url: format!("postgres://{USER}@{}/{USER}", hosts.join(",")), secured: None },
        };
        cluster.form(is_over)?;
        cluster.make_database()?;
        cluster.start_nodes(dosd, 3, is_over)?;
        Ok(cluster)
    }

    /// One PostgreSQL, two nodes of this dosd. Nothing, after saying so for the test of this name, where there is no PostgreSQL.
    ///
    /// # Errors
    /// If something does not come up.
    pub fn small(dosd: &Path, parent: &Path, test: &str) -> Result<Option<Self>> {
        let Some(server) = Postgres::own(test) else { return Ok(None) };
        let address = server.database();
        let mut cluster = Self {
            nodes: Vec::new(),
            databases: Databases::One(server, address.clone()),
            place: Place::loopback()?,
            home: Home::new(parent)?,
            store: Store { url: address, secured: None },
        };
        cluster.start_nodes(dosd, 2, &|| false)?;
        Ok(Some(cluster))
    }

    fn form(&mut self, is_over: &dyn Fn() -> bool) -> Result<()> {
        let Databases::Patroni(databases, shared) = &mut self.databases else { return Ok(()) };
        for database in databases.iter_mut() {
            database.start_etcd(shared, &self.place)?;
        }
        for database in databases {
            database.start_patroni(shared, &self.place)?;
        }
        self.wait("the databases to find each other", FORMED_TIME_MAX, is_over, |cluster| {
            Ok(cluster.databases_are_whole())
        })
    }

    /// Waits until `ready`.
    fn wait(
        &mut self,
        what: &str,
        patience: Duration,
        is_over: &dyn Fn() -> bool,
        mut ready: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        let mut backoff = Backoff::within(patience);
        while !ready(self)? {
            ensure!(!is_over(), "interrupted");
            ensure!(backoff.pause(), "waited {} s in vain for {what}", patience.as_secs());
        }
        Ok(())
    }

    /// The user and its database, as an operator makes them.
    fn make_database(&mut self) -> Result<()> {
        let (password, file) = (database::password()?, self.home.0.join("db.password"));
        fs::write(&file, format!("{password}\n"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        self.sql("postgres", &format!("CREATE ROLE {USER} LOGIN PASSWORD '{password}'"))?;
        self.sql(
            "postgres",
            &format!("CREATE DATABASE {USER} OWNER {USER} ENCODING 'UTF8' TEMPLATE template0"),
        )?;
        let shown = |path: PathBuf| path.display().to_string();
        self.store.secured = Some((shown(self.home.0.join("ca/ca.pem")), shown(file)));
        Ok(())
    }

    fn start_nodes(&mut self, dosd: &Path, count: usize, is_over: &dyn Fn() -> bool) -> Result<()> {
        for at in 0..count {
            let node = Node::new(at, &self.home.0, dosd, (&self.place, &self.store, &UNLIMITED))?;
            if let Some(first) = self.nodes.first() {
                node.take_key(first)?;
            }
            self.nodes.push(node);
            self.start_node(at, is_over)?;
        }
        self.wait("the nodes to find each other", WHOLE_TIME_MAX, is_over, |cluster| {
            Ok(cluster.nodes_are_whole())
        })
    }

    fn node(&mut self, at: usize) -> Result<&mut Node> {
        self.nodes.get_mut(at).context("there is no such node")
    }

    fn start_node(&mut self, at: usize, is_over: &dyn Fn() -> bool) -> Result<()> {
        let place = &self.place;
        self.nodes.get_mut(at).context("there is no such node")?.start(place)?;
        self.wait("a node to answer", WHOLE_TIME_MAX, is_over, |cluster| {
            let node = cluster.node(at)?;
            if node.has_ended() {
                bail!("{} has ended:\n{}", node.host.name(), node.log_tail());
            }
            Ok(node.operate(&["link"])?.status.success())
        })
    }

    /// Waits until every node is linked to every other one, and every database server takes part.
    ///
    /// # Errors
    /// If that does not come.
    pub fn whole(&mut self) -> Result<()> {
        self.wait("the cluster to be whole", WHOLE_TIME_MAX, &|| false, |cluster| {
            Ok(cluster.databases_are_whole() && cluster.nodes_are_whole())
        })
    }

    fn databases_are_whole(&self) -> bool {
        match &self.databases {
            Databases::Patroni(..) => {
                let told = self.told_by_each();
                let is_whole = |members: &Vec<Member>| {
                    members.len() == DATABASES
                        && members.iter().all(Member::takes_part)
                        && leader(members).is_some()
                };
                // One that was away shows for a moment what was before.
                let leaders: Vec<_> = told.iter().filter_map(|members| leader(members)).collect();
                told.len() == DATABASES
                    && told.iter().all(is_whole)
                    && leaders.windows(2).all(|pair| pair[0] == pair[1])
            }
            Databases::One(server, address) => server.try_sql(address, "SELECT 1").status.success(),
        }
    }

    fn nodes_are_whole(&self) -> bool {
        let is_whole = |node: &Node| {
            let states = states(node).unwrap_or_default();
            states.len() == self.nodes.len()
                && states.iter().all(|state| state == "this" || state == "linked")
        };
        self.nodes.iter().all(is_whole)
    }

    /// The database servers as each of them sees all, of those that answer.
    fn told_by_each(&self) -> Vec<Vec<Member>> {
        let Databases::Patroni(databases, shared) = &self.databases else { return Vec::new() };
        let told =
            |database: &Database| patroni::members(&self.place.address(database.host), &shared.certificates);
        databases.iter().filter_map(|database| told(database).ok()).collect()
    }

    /// The database server that takes writes, by the word of two.
    fn primary(&self) -> Result<usize> {
        let told = self.told_by_each();
        let leaders: Vec<_> = told.iter().filter_map(|members| leader(members)).collect();
        let is_it = |at: &usize| {
            leaders.iter().filter(|name| **name == Host::Database(*at).name()).count() * 2 > DATABASES
        };
        (0..DATABASES).find(is_it).context("there is no primary that two of three know")
    }

    /// Runs statements in a database on the primary, as its administrator.
    ///
    /// # Errors
    /// If they fail.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        match &self.databases {
            Databases::One(server, address) => {
                let name = if database == USER { address } else { database };
                told(&server.try_sql(name, sql))
            }
            Databases::Patroni(databases, shared) => {
                let server = databases.get(self.primary()?).context("there is no such server")?;
                let psql = programs().context("PostgreSQL is not installed")?.join("psql");
                let mut command = shared.command(&psql, &self.home.0);
                command.args([
                    "-X",
                    "-q",
                    "-A",
                    "-t",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-U",
                    "postgres",
                    "-d",
                    database,
                    "-h",
                ]);
                command
                    .arg(server.socket())
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped());
                let mut child = command.spawn().context("cannot run psql")?;
                // Not as an argument: it may have a password in it.
                child.stdin.take().context("psql takes nothing")?.write_all(sql.as_bytes())?;
                told(&child.wait_with_output()?)
            }
        }
    }

    /// What `patronictl list` prints.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn patronictl(&self) -> Result<String> {
        let Databases::Patroni(databases, shared) = &self.databases else { return Ok(String::new()) };
        let first = databases.first().context("there is no server")?;
        let mut command = Command::new(shared.patroni.join("patronictl"));
        told(&command.arg("-c").arg(first.patroni_file()).arg("list").stdin(Stdio::null()).output()?)
    }

    /// The join link, with the addresses of all nodes.
    ///
    /// # Errors
    /// If no node answers.
    pub fn link(&self) -> Result<String> {
        for node in &self.nodes {
            let asked = node.operate(&["link"])?;
            if asked.status.success() {
                return told(&asked);
            }
        }
        bail!("no node answers")
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Where peers find a node.
    #[must_use]
    pub fn node_address(&self, at: usize) -> String {
        format!("{}:{}", self.place.address(Host::Node(at)), node::PORT)
    }

    /// The ID of a node's process.
    #[must_use]
    pub fn node_id(&self, at: usize) -> Option<u32> {
        self.nodes.get(at)?.id()
    }

    /// The data directory of a node.
    #[must_use]
    pub fn node_data(&self, at: usize) -> Option<&Path> {
        self.nodes.get(at).map(|node| node.data.as_path())
    }

    /// Runs an operator's command at a node.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn operate(&self, at: usize, args: &[&str]) -> Result<Output> {
        self.nodes.get(at).context("there is no such node")?.operate(args)
    }

    /// The arguments that name the store.
    #[must_use]
    pub fn store(&self) -> Vec<String> {
        self.store.flags()
    }

    /// Where all files are.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home.0
    }

    /// Commands that let something befall it, for a person.
    #[must_use]
    pub fn recipes(&self) -> Vec<String> {
        let mut recipes = Vec::new();
        if let Some(id) = self.node_id(1) {
            recipes.push(format!("kill -STOP {id}; sleep 10; kill -CONT {id}        # a node is stopped"));
        }
        for (what, host) in
            [("a node is cut off", Host::Node(1)), ("a database server is cut off", Host::Database(0))]
        {
            if let Some(link) = self.place.cable(host) {
                recipes.push(format!(
                    "ip link set {link} down; sleep 40; ip link set {link} up        # {what}: {}",
                    host.name()
                ));
            }
        }
        if let Some(namespace) = self.place.namespace(Host::Database(0)) {
            recipes.push(format!("kill -STOP $(ip netns pids {namespace})        # and so is its machine"));
        }
        recipes
    }
}

fn leader(members: &[Member]) -> Option<&str> {
    members.iter().find(|member| member.is_primary()).map(|member| &*member.name)
}

fn told(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The states of all nodes, as one sees them.
fn states(node: &Node) -> Result<Vec<String>> {
    let document: Value = serde_json::from_str(&told(&node.operate(&["nodes", "--json"])?)?)?;
    let nodes = document["nodes"].as_array().context("there are no nodes")?;
    Ok(nodes.iter().filter_map(|node| node["state"].as_str().map(str::to_owned)).collect())
}
