//! Many changes in one command: each is made as if it came alone, all of them are on their way together.
//!
//! What always holds: one that fails does not stop the others; each has an operation ID of its own, so that the same command
//! given again makes none of them twice.

use std::sync::Arc;

use dos_protocol::{
    Code, WireError,
    control::{Command, Each, Outcome},
    limits::{MANY_MAX, REQUESTS_IN_FLIGHT_MAX},
};
use futures_util::{StreamExt, future::BoxFuture, stream};

use super::{Finished, NoUpload, Services, Sink, WhenShown, run_with, share::Viewers};

/// Makes the changes, as many at once as a session takes.
///
/// # Errors
/// `invalid` if they are too many, or not changes of the kinds that are taken.
pub(super) async fn run(
    services: &Arc<Services>,
    commands: Vec<Command>,
    sink: &Sink,
) -> Result<Finished, WireError> {
    if commands.len() > MANY_MAX {
        return Err(WireError::new(Code::Invalid, format!("more than {MANY_MAX} changes in one command")));
    }
    if !commands.iter().all(is_taken) {
        return Err(WireError::new(
            Code::Invalid,
            "only shares, removals, answers to requests and settings of images can be many",
        ));
    }
    services.upstream.ready().await?;
    let viewers = Arc::new(Viewers::of(services, &commands).await);
    let work: Vec<_> = commands.into_iter().map(|command| one(services, command, sink, &viewers)).collect();
    let finished: Vec<_> = stream::iter(work).buffered(REQUESTS_IN_FLIGHT_MAX).collect().await;
    let (mut each, mut then) = (Vec::new(), Vec::new());
    for finished in finished {
        each.push(match finished {
            Ok(finished) => {
                then.extend(finished.then);
                Each::Done(Box::new(finished.outcome))
            }
            Err(error) => Each::Failed(error),
        });
    }
    Ok(Finished { outcome: Outcome::Many(each), then: Some(WhenShown::All(then)) })
}

fn one(
    services: &Arc<Services>,
    command: Command,
    sink: &Sink,
    viewers: &Arc<Viewers>,
) -> BoxFuture<'static, Result<Finished, WireError>> {
    let (services, sink, viewers) = (Arc::clone(services), sink.clone(), Arc::clone(viewers));
    Box::pin(async move { run_with(&services, command, &mut NoUpload, sink, &viewers).await })
}

fn is_taken(command: &Command) -> bool {
    matches!(
        command,
        Command::Share { .. }
            | Command::Remove(_)
            | Command::Approve { .. }
            | Command::Deny { .. }
            | Command::Set { .. }
    )
}
