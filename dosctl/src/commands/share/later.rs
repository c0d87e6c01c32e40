//! `dosctl share --album A --later`: what peers get of an album, also of what comes into it later.

use dos_protocol::{
    Allowance, Code, PeerRef, WireError,
    control::{self, Command, Outcome, Rule},
    directory::ViewsChange,
};

use super::{Args, Terms};
use crate::{
    context::{Context, unexpected},
    error::{Error, Failure},
    group::{self, Known, Whom},
    output::{human, json},
};

/// Sets a rule for each of the viewers, and gives what is in the album now.
///
/// # Errors
/// `usage` if it is not said how many views; what peerd reports, of several after the others are done.
pub(super) fn run(args: Args, (to, terms): (Vec<Whom>, Terms), context: &Context) -> Result<(), Error> {
    let (Some(album), ViewsChange::Set(views)) = (args.album, terms.views) else {
        let text = "--later goes with --views or --unlimited";
        return Err(WireError::new(Code::Usage, text).hint("dosctl share --help").into());
    };
    let terms =
        control::Terms { views, expires: terms.expires, allow_offline: terms.allow_offline.unwrap_or(false) };
    if terms.views == Allowance::Views(0) {
        let text = "--later gives views: name one at least";
        return Err(WireError::new(Code::Usage, text).hint("dosctl share --help").into());
    }
    let (mut rules, mut failed, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let viewers = group::peers_of(to, context)?;
    let is_one = viewers.len() == 1;
    for (known_as, viewer) in viewers {
        let command = Command::Later { album: album.clone(), viewer, terms: Some(terms) };
        match context.perform(command) {
            Ok((client, Outcome::Rule(rule))) => {
                failed.extend(trouble(&rule, &known_as));
                rules.push(*rule);
                waiting.push(client);
            }
            Ok(_) => return Err(unexpected()),
            Err(Error::Told(error)) if !is_one && error.code != Code::NoDaemon => {
                failed.push(Failure::new(known_as, error));
            }
            Err(error) => return Err(error),
        }
    }
    let document = json::Rules { rules: rules.iter().map(Into::into).collect() };
    context.screen.show(&document, |text| {
        for rule in &rules {
            human::rule(text, rule);
        }
    })?;
    for client in waiting {
        client.shown();
    }
    if failed.is_empty() { Ok(()) } else { Err(Error::Several(failed)) }
}

/// What could not be given by a rule.
fn trouble(rule: &Rule, known_as: &str) -> Option<Failure> {
    let trouble = rule.trouble.as_ref().filter(|_| rule.failed > 0)?;
    let hint = format!("dosctl album {}", dos_host::shell::quoted(rule.album.as_str()));
    let error = WireError::new(Code::Denied, trouble.clone()).hint(hint);
    Some(Failure::new(known_as, error))
}

/// Ends the rules by which these viewers get what comes into the album.
///
/// # Errors
/// What peerd reports.
pub(super) fn end(rules: &[Rule], viewers: &[Known], context: &Context) -> Result<(), Error> {
    for rule in rules {
        let is_meant = |(_, viewer): &Known| match viewer {
            PeerRef::Id(id) => *id == rule.viewer,
            PeerRef::Name(name) => rule.viewer_name.as_ref() == Some(name),
            PeerRef::Address(_) => false,
        };
        if viewers.iter().any(is_meant) {
            let viewer = PeerRef::Id(rule.viewer);
            let (client, _) =
                context.perform(Command::Later { album: rule.album.clone(), viewer, terms: None })?;
            client.shown();
        }
    }
    Ok(())
}
