//! What of all that happens is shown on the desktop, and how much of it at once.
//!
//! What always holds: what others have written is text and never markup; what they do brings at most one notification in
//! [`PAUSE`], with a few lines, however much they do.

use std::time::Duration;

use dos_protocol::{PeerId, PeerName, control::EventKind, directory::RequestState, text::printable};

/// Between two notifications: six in a minute.
pub(crate) const PAUSE: Duration = Duration::from_secs(10);

/// After the first event: what comes with it is shown with it.
pub(crate) const GATHER: Duration = Duration::from_millis(700);

/// Lines of one notification.
const LINES_MAX: usize = 5;

/// Of what others have written.
const TEXT_CHARS_MAX: usize = 120;

/// What has come of one kind from one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    kind: Kind,
    from: PeerId,
    count: u64,
    words: Words,
}

/// How it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Words {
    /// The only one, or the last.
    one: String,
    /// Behind a number.
    many: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Answer,
    Grant,
    Message,
    Key,
}

/// What waits to be shown.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    lines: Vec<Line>,
    /// What has no line.
    more: u64,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) summary: String,
    /// Markup, in which nothing of others is any.
    pub(crate) body: String,
}

impl Digest {
    /// Takes an event, if it is to be shown to `me`.
    pub(crate) fn add(&mut self, me: PeerId, what: &EventKind) {
        let Some((kind, from, words)) = told(me, what) else { return };
        let is_full = self.lines.len() >= LINES_MAX;
        match self.lines.iter_mut().find(|line| line.kind == kind && line.from == from) {
            Some(line) => (line.count, line.words) = (line.count + 1, words),
            None if !is_full => self.lines.push(Line { kind, from, count: 1, words }),
            None => self.more += 1,
        }
    }

    /// Whether there is nothing to be shown.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All of it as one notification; nothing waits any more.
    pub(crate) fn take(&mut self, profile: &str) -> Shown {
        let Self { lines, more } = std::mem::take(self);
        let line = |Line { count, words, .. }: Line| match count {
            1 => escaped(&words.one),
            count => escaped(&format!("{count} {}", words.many)),
        };
        let mut body: Vec<String> = lines.into_iter().map(line).collect();
        if more > 0 {
            body.push(format!("and {more} more: dosctl news"));
        }
        Shown { summary: format!("dos ({profile})"), body: body.join("\n") }
    }
}

/// What kind it is, of whom, and in which words.
fn told(me: PeerId, what: &EventKind) -> Option<(Kind, PeerId, Words)> {
    let (kind, (from, name), one, many) = match what {
        EventKind::Request(request) if request.from != me && request.state == RequestState::Pending => {
            let one = format!("asks for {}{}", request.path.name, quoted(request.note.as_deref()));
            (Kind::Request, (request.from, &request.from_name), one, "requests of")
        }
        EventKind::Contact(contact) => {
            let one = "wants to send direct messages".into();
            (Kind::Request, (contact.from, &contact.from_name), one, "requests of")
        }
        EventKind::Decision(request) if request.from == me && request.state != RequestState::Cancelled => {
            let is_granted = request.state == RequestState::Approved;
            let answer = if is_granted { "lets you view" } else { "does not let you view" };
            let one = format!("{answer} {}{}", request.path.name, quoted(request.reason.as_deref()));
            (Kind::Answer, (request.path.owner, &request.owner_name), one, "answers of")
        }
        // An offer is a stranger's.
        EventKind::Grant(grant) if grant.viewer == me && !grant.revoked && !grant.offer => {
            let one = format!("shares {} with you", grant.path.name);
            (Kind::Grant, (grant.path.owner, &grant.owner_name), one, "grants of")
        }
        EventKind::Message(message) if message.from != me => {
            let one = format!("writes: {}", short(&message.text));
            (Kind::Message, (message.from, &message.from_name), one, "messages of")
        }
        EventKind::KeyChange(contact) => {
            let one = "appears with another key: see dosctl contacts".into();
            (Kind::Key, (contact.id, &contact.name), one, "other keys of")
        }
        _ => return None,
    };
    let who = name.as_ref().map_or_else(|| from.to_string(), PeerName::to_string);
    Some((kind, from, Words { one: format!("{who} {one}"), many: format!("{many} {who}") }))
}

fn quoted(text: Option<&str>) -> String {
    text.map(|text| format!(": \"{}\"", short(text))).unwrap_or_default()
}

/// In one line, and not much of it.
fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(TEXT_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

/// As text in markup, without what moves a cursor or turns text around.
fn escaped(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use dos_protocol::{Timestamp, control::Message, model::Grant};

    use super::{
        super::samples::{alice, bob, grant, request},
        *,
    };

    fn message(from: PeerId, text: &str) -> EventKind {
        EventKind::Message(Box::new(Message {
            place: 1,
            message: [7; 16].into(),
            from,
            from_name: (from == alice()).then(|| "alice".parse().unwrap()),
            to: Some(bob()),
            to_name: None,
            sent_at: Timestamp(1),
            read: false,
            direct: false,
            delivery: None,
            text: text.into(),
            signed: true,
        }))
    }

    fn body(events: &[EventKind]) -> String {
        let mut digest = Digest::default();
        events.iter().for_each(|event| digest.add(bob(), event));
        digest.take("default").body
    }

    #[test]
    fn what_others_have_written_is_no_markup() {
        let body = body(&[message(alice(), "<b>&amp; \u{202e}<img src=x>\nnext</b>")]);
        assert!(body.contains("alice writes: &lt;b&gt;&amp;amp;") && body.contains("next"), "{body}");
        assert!(!body.contains(['<', '\u{202e}', '\n']), "{body}");
        assert_eq!(short(&"x ".repeat(500)).chars().count(), TEXT_CHARS_MAX + 3);
    }

    #[test]
    fn much_of_the_same_is_one_line_and_there_are_few_lines() {
        let many: Vec<_> = (0..300).map(|_| message(alice(), "hello")).collect();
        assert_eq!(body(&many), "300 messages of alice");
        let stranger = |number| PeerId::from_number(PeerId::COUNT / 3 + number).unwrap();
        let crowd: Vec<_> = (0..20).map(|number| message(stranger(number), "x")).collect();
        let body = body(&crowd);
        assert_eq!(body.lines().count(), LINES_MAX + 1);
        assert!(body.ends_with("and 15 more: dosctl news"), "{body}");
    }

    #[test]
    fn what_one_does_oneself_and_what_strangers_offer_is_not_shown() {
        // Alice's image, and Bob's request for it.
        let shared = |offer, revoked| EventKind::Grant(Box::new(Grant { offer, revoked, ..grant(1) }));
        let asked = |state| EventKind::Request(Box::new(request(1, state)));
        let answer = |state| EventKind::Decision(Box::new(request(1, state)));
        for (what, to_owner, to_viewer) in [
            (shared(false, false), false, true),
            (shared(true, false), false, false),
            (shared(false, true), false, false),
            (asked(RequestState::Pending), true, false),
            (asked(RequestState::Cancelled), false, false),
            (answer(RequestState::Approved), false, true),
            (answer(RequestState::Denied), false, true),
            (answer(RequestState::Cancelled), false, false),
            (message(alice(), "x"), false, true),
        ] {
            for (me, expected) in [(alice(), to_owner), (bob(), to_viewer)] {
                let mut digest = Digest::default();
                digest.add(me, &what);
                assert_eq!(digest.is_empty(), !expected, "{what:?}");
            }
        }
    }
}
