//! Keys and contacts as people read them.

use dos_protocol::{
    Card,
    control::{Contact, Group, Trust},
};

use super::or_nothing;
use crate::output::{
    Text,
    table::Table,
    words::{peer, relative},
};

/// Of `card`.
pub(crate) fn card(text: &mut Text, card: &Card) {
    text.line(&format!("link         {card}"));
    text.line(&format!("fingerprint  {}", card.fingerprint()));
    text.note("give the link to a person over a channel that you both trust: `dosctl trust LINK` there");
}

/// Of `contacts`.
pub(crate) fn known(text: &mut Text, contacts: &[Contact]) {
    if contacts.is_empty() {
        text.note("no contacts yet: a key is pinned when you first share, ask, send or fetch");
        return;
    }
    let mut table = Table::new(&["PEER", "ID", "TRUST", "SINCE", "FINGERPRINT"]);
    for one in contacts {
        table.row(vec![
            or_nothing(one.name.as_ref()),
            one.id.to_string(),
            trust(one).into(),
            relative(one.since, text.now),
            one.fingerprint().to_string(),
        ]);
    }
    table.show(text);
    for one in contacts {
        if let Some(other) = one.other {
            let who = peer(one.name.as_ref(), one.id);
            let seen = relative(other.at, text.now);
            text.note(&format!(
                "{who} appeared with another key {seen}: {}; decide with `dosctl trust {who}`",
                other.fingerprint()
            ));
        }
    }
}

fn trust(contact: &Contact) -> &'static str {
    match (contact.other, contact.trust) {
        (Some(_), _) => "KEY CHANGED",
        (None, Some(Trust::FirstUse)) if contact.stranger => "stranger",
        (None, Some(Trust::Verified)) => "verified",
        (None, Some(Trust::FirstUse)) => "first use",
        (None, None) => "-",
    }
}

/// Both sides' fingerprints, as each of two people sees them.
pub(crate) fn comparison(text: &mut Text, own: &Card, contact: &Contact) {
    let who = peer(contact.name.as_ref(), contact.id);
    let me = peer(own.name.as_ref(), own.id);
    let mut lines = vec![(format!("{me} (you)"), own.fingerprint().to_string())];
    match contact.other {
        None => lines.push((who.clone(), contact.fingerprint().to_string())),
        Some(other) => {
            lines.push((format!("{who}, as known"), contact.fingerprint().to_string()));
            let now = if other.peer == contact.id {
                format!("{who}, now")
            } else {
                format!("{who}, now {}", other.peer)
            };
            lines.push((now, other.fingerprint().to_string()));
        }
    }
    let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    for (label, digits) in lines {
        text.line(&format!("{label:<width$}  {digits}"));
    }
    text.line(&format!("compare them with {who} over another channel: by voice, or side by side"));
}

/// Of `group` and `groups`.
pub(crate) fn groups(text: &mut Text, groups: &[Group]) {
    if groups.is_empty() {
        text.note("no groups; make one with `dosctl group NAME --add PEER`");
        return;
    }
    let mut table = Table::new(&["GROUP", "PEERS"]);
    for group in groups {
        let members = group.members.iter().map(|member| peer(member.name.as_ref(), member.id));
        table.row(vec![format!("@{}", group.name), members.collect::<Vec<_>>().join(", ")]);
    }
    table.show(text);
}
