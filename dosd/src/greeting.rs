//! What `dosd serve` tells a person who starts it at a terminal: where it listens, and the join link for newcomers.
//!
//! The link comes from the running server, over its own door, so that it is the one that `dosd link` prints.

use std::{path::Path, time::Duration};

use dos_protocol::{
    Fingerprint, JoinLink,
    admin::{FromDosd, ToDosd},
    lan::{Reach, reach},
    text::printable,
};

use crate::admin::{Answers, AskError};

/// The server answers as soon as its tasks run.
const PATIENCE: Duration = Duration::from_secs(10);

/// The lines for the person.
///
/// # Errors
/// If the server does not answer.
pub fn greeting(data_dir: &Path, listen: &str) -> Result<String, AskError> {
    match Answers::to(data_dir, &ToDosd::Link, Some(PATIENCE))?.next_reply()? {
        FromDosd::Link(link) => Ok(lines(&link, listen)),
        _ => Err(AskError::Unexpected),
    }
}

fn lines(link: &JoinLink, listen: &str) -> String {
    let good_for = if link.invite.is_some() { " (for one registration; more: dosd link)" } else { "" };
    let fingerprint = Fingerprint::of_directory(&link.key);
    let mut text = format!(
        "listening on {listen}\njoin link{good_for}:\n  {link}\nfingerprint of its key:\n  {fingerprint}\n"
    );
    if let Some(kind) = kind_of(&link.host) {
        text += &format!(
            "warning: {} is {kind}: peers elsewhere cannot reach it. Name an address that they can: \
             dosd serve --advertise HOST:{}\n",
            link.host, link.port
        );
    }
    text.split_inclusive('\n')
        .map(|line| printable(line.trim_end_matches('\n')).into_owned() + "\n")
        .collect()
}

/// What is special about an address, if it does not lead here from everywhere.
fn kind_of(host: &str) -> Option<&'static str> {
    match reach(host) {
        Reach::Machine => Some("this machine itself"),
        Reach::LocalNetwork => Some("an address of the local network"),
        Reach::Anywhere => None,
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::PublicKey;

    use super::*;

    fn link(host: &str, invite: Option<&str>) -> JoinLink {
        JoinLink {
            key: PublicKey::from([9; 32]),
            host: host.into(),
            port: 5001,
            others: Vec::new(),
            invite: invite.map(Into::into),
            invitation: None,
        }
    }

    #[test]
    fn an_address_that_others_cannot_reach_is_warned_of() {
        for (host, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("localhost", true),
            ("10.1.2.3", true),
            ("192.168.7.7", true),
            ("169.254.1.1", true),
            ("fd00::7", true),
            ("fe80::7", true),
            ("192.0.2.7", false),
            ("2001:db8::7", false),
            ("dos.example.org", false),
        ] {
            let text = lines(&link(host, None), "[::]:5001");
            assert_eq!(text.contains("--advertise HOST:5001"), expected, "{text}");
            assert!(text.starts_with("listening on [::]:5001\njoin link:\n  dos://"), "{text}");
        }
        assert!(
            lines(&link("192.0.2.7", Some("Ab3")), "x").contains("(for one registration; more: dosd link)")
        );
    }
}
