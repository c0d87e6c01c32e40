//! `up` without a link where the profile has not signed up: the directories on the local network, of which a person chooses one.
//!
//! What always holds: none is used before a person at the terminal has said that its fingerprint is the one that its operator sees; a
//! script is told what is there, and nothing more.

use dos_protocol::{
    Code, Fingerprint, JoinLink, PeerName, WireError,
    control::{Command, Status},
};

use crate::{
    confirm::{ask, confirm},
    context::Context,
    error::Error,
    lan,
};

/// The registration that the person wants.
///
/// # Errors
/// `usage` if there is no directory, no person, or no yes.
pub(super) fn register(status: &Status, name: Option<PeerName>, context: &Context) -> Result<Command, Error> {
    if context.can_ask() {
        context.screen.note("looking for directories on the local network\n");
    }
    let found = lan::directories();
    if found.is_empty() || !context.can_ask() {
        return Err(not_chosen(&status.profile, &found).into());
    }
    let server = choose(&found)?;
    let fingerprint = Fingerprint::of_directory(&server.key);
    let question = format!(
        "Anyone on this network can announce a directory. Compare this with the fingerprint that the operator of {} sees when dosd \
         starts:\n  {fingerprint}\nIs it the same? [y/N] ",
        server.address()
    );
    if !confirm(&question)? {
        return Err(Error::new(Code::Usage, "not signed up: the fingerprint was not confirmed"));
    }
    let name = match name {
        Some(name) => Some(name),
        None => typed("Name that others know you by (nothing for none): ")?,
    };
    let invite = ask("Invite that the operator gave you (nothing if none is wanted): ")?;
    let invite = invite.filter(|invite| !invite.is_empty()).map(Into::into);
    // As in a link, so that what is no invite is refused here.
    let server: JoinLink = JoinLink { invite, ..server }
        .to_string()
        .parse()
        .map_err(|_| WireError::new(Code::Usage, "that is no invite").hint("dosctl up"))?;
    Ok(Command::Register { server, name, password: None })
}

fn typed(question: &str) -> Result<Option<PeerName>, Error> {
    let Some(text) = ask(question)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(name) => Ok(Some(name)),
        Err(_) => Err(Error::new(Code::Usage, "a name has 1 to 32 of a-z 0-9 . _ -")),
    }
}

/// The one that the person means.
fn choose(found: &[JoinLink]) -> Result<JoinLink, Error> {
    let mut question = String::from("Directories on the local network:\n");
    for (number, link) in (1..).zip(found) {
        question += &format!("  {number}  {}  {}\n", link.address(), Fingerprint::of_directory(&link.key));
    }
    let numbers = if found.len() == 1 { "1".into() } else { format!("1-{}", found.len()) };
    question += &format!("Which one? [{numbers}, nothing for none] ");
    let answer = ask(&question)?.unwrap_or_default();
    let chosen = answer.parse::<usize>().ok().and_then(|number| found.get(number.checked_sub(1)?));
    chosen.cloned().ok_or_else(|| Error::new(Code::Usage, "not signed up: no directory was chosen"))
}

/// What a script, or a person with no directory around, is told.
fn not_chosen(profile: &str, found: &[JoinLink]) -> WireError {
    let text = format!("profile \"{profile}\" has not signed up at a directory");
    let error = WireError::new(Code::Usage, text);
    let Some(first) = found.first() else {
        return error
            .hint("dosctl up LINK --name NAME, with the join link that its operator gives (dosd link)");
    };
    let others = match found.len() {
        1 => String::new(),
        number => format!(", and {} more", number - 1),
    };
    let fingerprint = Fingerprint::of_directory(&first.key);
    error
        .caused_by(format!(
            "on the local network, announced by anyone: {first}{others}; no one is here to compare its fingerprint, {fingerprint}"
        ))
        .hint("dosctl up, at a terminal; or dosctl up LINK --name NAME, with a link that you trust")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_what_is_there_and_not_to_use_it() {
        let key = dos_protocol::PublicKey::from([9; 32]);
        let link: JoinLink = format!("dos://{key}@192.168.1.7:5001").parse().unwrap();
        let error = not_chosen("x", &[link.clone(), link.clone()]);
        let cause = error.cause.unwrap();
        assert!(cause.contains(&link.to_string()) && cause.contains("and 1 more"), "{cause}");
        assert!(cause.contains(&Fingerprint::of_directory(&key).to_string()));
        assert!(!error.hint.unwrap().contains(&link.to_string()), "what can be pasted would be trusted");
        assert!(not_chosen("x", &[]).cause.is_none());
    }
}
