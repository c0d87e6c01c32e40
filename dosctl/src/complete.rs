//! Completions as things are: images, peers, groups, requests and profiles, asked of peerd while a person types.
//!
//! What always holds: a completion waits no longer than [`PATIENCE`] for peerd, and whatever goes wrong, it is silent: there are fewer
//! candidates then. It changes nothing. What others have named is quoted where the shell would not do that: a name is never a part of
//! a command.

use std::{
    ffi::{OsStr, OsString},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use clap::{Arg, Command as Clap, CommandFactory};
use clap_complete::{
    CompletionCandidate,
    engine::ArgValueCompleter,
    env::{CompleteEnv, Shells},
};
use dos_host::shell::quoted;
use dos_protocol::{
    ImagePath, PeerId, PeerName,
    control::{Command, FromPeerd, ListQuery, Outcome, ToPeerd},
    limits::PAGE_MAX,
    name::printable,
    paths::{DEFAULT_PROFILE, Environment, is_profile},
};

use crate::{cli::Cli, client::Client, output::words, pieces::Pieces, profiles, target::Target};

/// The variable by which a shell asks for completions, and names itself.
const VARIABLE: &str = "COMPLETE";

/// A person who types does not notice more.
const PATIENCE: Duration = Duration::from_millis(300);

/// What a shell shows without asking whether it should.
const CANDIDATES_MAX: usize = 200;

/// Whether a shell asks for completions.
#[must_use]
pub(crate) fn is_asked() -> bool {
    dos_host::variables::var_os(VARIABLE).is_some()
}

/// Whether the shell inserts what it gets as it is: bash does, zsh and fish quote it.
static INSERTS_AS_IS: AtomicBool = AtomicBool::new(true);

/// Answers the shell; whatever is wrong has no answer.
pub(crate) fn answer(args: &[OsString]) {
    let quotes = dos_host::variables::var_os(VARIABLE).is_some_and(|shell| shell == "zsh" || shell == "fish");
    INSERTS_AS_IS.store(!quotes, Ordering::Relaxed);
    drop(CompleteEnv::with_factory(command).bin("dosctl").try_complete(args.iter(), None));
}

/// The script by which a shell asks for completions.
#[must_use]
pub(crate) fn script(shell: &str) -> Option<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells.completer(shell)?;
    completer.write_registration(VARIABLE, "dosctl", "dosctl", "dosctl", &mut script).ok()?;
    Some(script)
}

/// What an argument names.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Own,
    Image,
    Peer,
    PeerOrGroup,
    Group,
    Incoming,
    Outgoing,
}

/// The arguments that name something, by command.
const ARGUMENTS: [(&str, &str, Kind); 27] = [
    ("share", "images", Kind::Own),
    ("share", "to", Kind::PeerOrGroup),
    ("remove", "images", Kind::Own),
    ("rename", "name", Kind::Own),
    ("view", "images", Kind::Image),
    ("fetch", "images", Kind::Image),
    ("preview", "image", Kind::Image),
    ("request", "image", Kind::Image),
    ("checkout", "image", Kind::Image),
    ("checkin", "image", Kind::Image),
    ("list", "peer", Kind::Peer),
    ("resolve", "peer", Kind::Peer),
    ("send", "peer", Kind::Peer),
    ("messages", "with", Kind::Peer),
    ("block", "peer", Kind::Peer),
    ("unblock", "peer", Kind::Peer),
    ("ping", "peer", Kind::Peer),
    ("trust", "whom", Kind::Peer),
    ("watch", "peers", Kind::Peer),
    ("group", "name", Kind::Group),
    ("group", "add", Kind::Peer),
    ("group", "remove", Kind::Peer),
    ("approve", "requests", Kind::Incoming),
    ("approve", "from", Kind::Peer),
    ("deny", "requests", Kind::Incoming),
    ("deny", "from", Kind::Peer),
    ("cancel", "request", Kind::Outgoing),
];

fn command() -> Clap {
    // In place: an argument that is taken out and put back comes last.
    let mut command = Cli::command().mut_args(|arg| with(arg, "profile", profile));
    for (verb, argument, kind) in ARGUMENTS {
        let complete = move |current: &OsStr| candidates(kind, current);
        command = command.mut_subcommand(verb, |verb| verb.mut_args(|arg| with(arg, argument, complete)));
    }
    command
}

fn with(
    arg: Arg,
    id: &str,
    complete: impl Fn(&OsStr) -> Vec<CompletionCandidate> + Send + Sync + 'static,
) -> Arg {
    if arg.get_id() == id { arg.add(ArgValueCompleter::new(complete)) } else { arg }
}

fn profile(current: &OsStr) -> Vec<CompletionCandidate> {
    fitting(profiles::all(&Environment::of_process()), current)
}

/// Those that begin with what is typed; of a list with commas, its last part is completed.
fn fitting(all: impl IntoIterator<Item = String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let (before, typed) = current.rsplit_once(',').map_or(("", current), |(before, typed)| (before, typed));
    let comma = if before.is_empty() { "" } else { "," };
    let typed = typed.trim_start_matches(['\'', '"']);
    let inserted = |one: String| if INSERTS_AS_IS.load(Ordering::Relaxed) { quoted(&one) } else { one };
    all.into_iter()
        // A name cannot have control characters; an older directory may show one that has.
        .filter(|one| one.starts_with(typed) && printable(one) == one.as_str())
        .take(CANDIDATES_MAX)
        .map(|one| CompletionCandidate::new(format!("{before}{comma}{}", inserted(one))))
        .collect()
}

fn candidates(kind: Kind, current: &OsStr) -> Vec<CompletionCandidate> {
    let found = match kind {
        Kind::Own => images(true),
        Kind::Image => received().into_iter().chain(images(false)).collect(),
        Kind::Peer => peers(),
        Kind::Group => groups(),
        Kind::PeerOrGroup => groups().into_iter().map(|group| format!("@{group}")).chain(peers()).collect(),
        Kind::Incoming | Kind::Outgoing => requests(kind),
    };
    let mut found: Vec<String> = found;
    found.sort();
    found.dedup();
    fitting(found, current)
}

/// The peerd that the words typed so far, or the environment, name.
fn target() -> Option<Target> {
    let words: Vec<String> = std::env::args().skip_while(|word| word != "--").collect();
    let option = |name: &str| {
        let given = words.iter().position(|word| word == name).and_then(|at| words.get(at + 1).cloned());
        given.or_else(|| words.iter().find_map(|word| word.strip_prefix(&format!("{name}=")).map(Into::into)))
    };
    let variable = |name| dos_host::variables::var_os(name).and_then(|value| value.into_string().ok());
    if let Some(socket) = option("--socket") {
        return Some(Target::of_socket(socket.as_ref()));
    }
    let profile = match (option("--profile"), variable("DOSCTL_SOCKET")) {
        (None, Some(socket)) => return Some(Target::of_socket(socket.as_ref())),
        (profile, _) => profile.or_else(|| variable("DOSCTL_PROFILE")),
    };
    let profile = profile.filter(|profile| is_profile(profile)).unwrap_or_else(|| DEFAULT_PROFILE.into());
    Target::of_profile(&profile, &Environment::of_process()).ok()
}

fn ask(command: Command) -> Option<Outcome> {
    let mut client = Client::connect(&target()?, Some(PATIENCE)).ok()?;
    client.send(&ToPeerd::Perform(Box::new(command))).ok()?;
    let mut pieces = Pieces::default();
    loop {
        match client.receive().ok()? {
            FromPeerd::Part(piece) => pieces.add(*piece).ok()?,
            FromPeerd::Done(last) => return pieces.end(*last).ok(),
            _ => return None,
        }
    }
}

fn owned(owner: Option<&PeerName>, path: &ImagePath) -> String {
    format!("{}/{}", words::peer(owner, path.owner), path.name)
}

fn images(mine: bool) -> Vec<String> {
    let query = ListQuery { mine, limit: Some(PAGE_MAX), ..ListQuery::default() };
    let Some(Outcome::Page { peers, .. }) = ask(Command::List(query)) else { return Vec::new() };
    let of_peer = |peer: dos_protocol::model::PeerInfo| {
        let owner = words::peer(peer.name.as_ref(), peer.id);
        let named = move |name: &dos_protocol::ImageName| {
            if mine { name.to_string() } else { format!("{owner}/{name}") }
        };
        peer.images.iter().map(|image| named(&image.name)).collect::<Vec<_>>()
    };
    peers.into_iter().flat_map(of_peer).collect()
}

fn received() -> Vec<String> {
    match ask(Command::Shares { given: false, received: true }) {
        Some(Outcome::Grants { received, .. }) => {
            let live = received.iter().filter(|grant| !grant.revoked);
            live.map(|grant| owned(grant.owner_name.as_ref(), &grant.path)).collect()
        }
        _ => Vec::new(),
    }
}

fn peers() -> Vec<String> {
    let called = |name: Option<&PeerName>, id: PeerId| words::peer(name, id);
    let mut found = Vec::new();
    if let Some(Outcome::Contacts(contacts)) = ask(Command::Contacts) {
        found.extend(contacts.iter().map(|contact| called(contact.name.as_ref(), contact.id)));
    }
    let query = ListQuery { limit: Some(PAGE_MAX), ..ListQuery::default() };
    if let Some(Outcome::Page { peers, .. }) = ask(Command::List(query)) {
        found.extend(peers.iter().map(|peer| called(peer.name.as_ref(), peer.id)));
    }
    found
}

fn groups() -> Vec<String> {
    match ask(Command::Groups) {
        Some(Outcome::Groups(groups)) => groups.iter().map(|group| group.name.to_string()).collect(),
        _ => Vec::new(),
    }
}

fn requests(kind: Kind) -> Vec<String> {
    let incoming = matches!(kind, Kind::Incoming);
    let command = Command::Requests { incoming, outgoing: !incoming, all: false };
    let Some(Outcome::Requests { incoming, outgoing, contacts }) = ask(command) else { return Vec::new() };
    let access = incoming.iter().chain(&outgoing).map(|request| request.request.to_string());
    let contacts = contacts.iter().map(|contact| format!("c{}", contact.number));
    access.chain(contacts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_in_the_table_is_there() {
        let command = Cli::command();
        for (verb, argument, _) in ARGUMENTS {
            let verb = command.find_subcommand(verb).unwrap_or_else(|| panic!("{verb}"));
            assert!(verb.get_arguments().any(|arg| arg.get_id() == argument), "{verb} {argument}");
        }
    }

    #[test]
    fn the_last_part_of_a_list_is_completed() {
        let all = ["bob", "bobby", "carol", "b\u{1b}x"].map(String::from);
        let shown = |current: &str| -> Vec<String> {
            let fitting = fitting(all.clone(), current.as_ref());
            fitting.iter().map(|one| one.get_value().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(shown("bo"), ["bob", "bobby"]);
        assert_eq!(shown("carol,bobb"), ["carol,bobby"]);
        assert_eq!(shown("b").len(), 2);
        let hostile = fitting(["alice/$(reboot)".into(), "alice/the sea".into()], "'alice/".as_ref());
        let hostile: Vec<&str> = hostile.iter().map(|one| one.get_value().to_str().unwrap()).collect();
        assert_eq!(hostile, ["'alice/$(reboot)'", "'alice/the sea'"]);
    }
}
