//! What a user is told about a directory that was restored, and which of its answers are final.

use dos_protocol::directory::Asserted;

/// What is left of what was asserted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) images: u64,
    pub(crate) grants: u64,
    pub(crate) checkouts: u64,
    pub(crate) requests: u64,
    pub(crate) blocks: u64,
    pub(crate) messages: u64,
}

impl Left {
    fn text(self) -> Option<String> {
        let parts = [
            (self.images, "image"),
            (self.grants, "grant"),
            (self.checkouts, "checkout"),
            (self.requests, "request"),
            (self.blocks, "block"),
            (self.messages, "message"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| count_of(count, what)).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

fn count_of(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What is new after a round: that the directory was restored, after the first one, with what it could not confirm; and what is
/// given up.
pub(crate) fn report(is_first: bool, refused: u64, waiting: Left, given_up: Left) -> Vec<Box<str>> {
    let mut news: Vec<Box<str>> = Vec::new();
    if is_first {
        let mut text =
            "the directory was restored from older data and was told what is known here".to_owned();
        if let Some(waiting) = waiting.text() {
            text += &format!("; not confirmed until others are back: {waiting}");
        }
        news.push(text.into());
    }
    if refused > 0 {
        let what = count_of(refused, "thing");
        news.push(format!("the directory was restored and refuses {what} that were known here").into());
    }
    if let Some(given_up) = given_up.text() {
        news.push(format!("since the directory was restored no one has confirmed: {given_up}").into());
    }
    news
}

/// Whether an answer to what was asserted is final. What refers to something that the directory does not have is asserted again,
/// unless it has ended anyway.
pub(crate) fn is_final(answer: Asserted, has_ended: bool) -> bool {
    match answer {
        Asserted::Confirmed | Asserted::Refused => true,
        Asserted::Missing => has_ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_directory_is_reported_once_with_what_it_could_not_confirm() {
        let nothing = Left::default();
        let some = Left { grants: 2, messages: 1, ..nothing };
        let all = Left { images: 1, grants: 1, checkouts: 1, requests: 1, blocks: 1, messages: 2 };
        let restored = "the directory was restored from older data and was told what is known here";
        let waits = format!("{restored}; not confirmed until others are back: 2 grants, 1 message");
        let over = "since the directory was restored no one has confirmed: \
                    1 image, 1 grant, 1 checkout, 1 request, 1 block, 2 messages";
        let refused = "the directory was restored and refuses 3 things that were known here";
        for (is_first, count, waiting, given_up, expected) in [
            (false, 0, some, nothing, vec![]),
            (true, 0, nothing, nothing, vec![restored]),
            (true, 0, some, nothing, vec![&*waits]),
            (true, 3, nothing, nothing, vec![restored, refused]),
            (false, 0, nothing, all, vec![over]),
        ] {
            let news = report(is_first, count, waiting, given_up);
            assert_eq!(news.iter().map(|text| &**text).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_the_directory_does_not_have_yet_is_asserted_again() {
        for (answer, has_ended, expected) in [
            (Asserted::Confirmed, false, true),
            (Asserted::Refused, false, true),
            (Asserted::Missing, false, false),
            (Asserted::Missing, true, true),
        ] {
            assert_eq!(is_final(answer, has_ended), expected, "{answer:?} {has_ended}");
        }
    }
}
