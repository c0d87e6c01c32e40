//! Which requests an owner answers, with `approve` and `deny`: one, several, or all that are pending.

use dos_protocol::{
    Code, PeerRef, WireError,
    control::{Command, Outcome, RequestArg},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    many,
    output::{human, json, words::count},
};

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Which {
    /// Numbers of the requests in `dosctl requests`, such as 7 or c1
    #[arg(required_unless_present = "all", value_name = "REQUEST")]
    requests: Vec<RequestArg>,
    /// Every pending request for your images
    #[arg(long, conflicts_with = "requests")]
    all: bool,
    /// With --all: only those of this peer
    #[arg(long, value_name = "PEER", requires = "all")]
    from: Option<PeerRef>,
}

/// Answers them with what `command` makes of each.
///
/// # Errors
/// What peerd reports; with several, the failures of those that cannot be answered, after the others are.
pub(crate) fn run(
    which: Which,
    context: &Context,
    command: impl Fn(RequestArg) -> Command,
) -> Result<(), Error> {
    if let (false, [request]) = (which.all, &*which.requests) {
        return crate::commands::run_request(command(*request), context);
    }
    let requests = if which.all { pending(which.from, context)? } else { which.requests };
    let changes = requests.into_iter().map(|request| (format!("request {request}"), command(request)));
    let came = many::perform(changes.collect(), context)?;
    let document = json::Answered::new(&came.done, came.failed.len());
    context.screen.show(&document, |text| {
        for outcome in &came.done {
            match outcome {
                Outcome::Request { request, updated } => human::request(text, request, *updated),
                Outcome::Contact(contact) => human::contact(text, contact),
                _ => {}
            }
        }
        let answered = u64::try_from(came.done.len()).unwrap_or(u64::MAX);
        text.note(&format!("answered {}", count(answered, "request")));
    })?;
    came.shown()
}

fn pending(from: Option<PeerRef>, context: &Context) -> Result<Vec<RequestArg>, Error> {
    let command = Command::Requests { incoming: true, outgoing: false, all: false };
    let Outcome::Requests { incoming, .. } = context.ask(command)? else { return Err(unexpected()) };
    let is_wanted = |request: &&dos_protocol::directory::Request| match &from {
        None => true,
        Some(PeerRef::Id(id)) => request.from == *id,
        Some(PeerRef::Name(name)) => request.from_name.as_ref() == Some(name),
        Some(PeerRef::Address(_)) => false,
    };
    if let Some(PeerRef::Address(_)) = from {
        let error = WireError::new(Code::Usage, "--from takes a name or an ID");
        return Err(error.hint("dosctl requests --incoming").into());
    }
    Ok(incoming.iter().filter(is_wanted).map(|request| RequestArg::Access(request.request)).collect())
}
