//! What people type and paste. What is accepted is shown as it would be accepted again, and as the same.

use std::{fmt::Display, str::FromStr};

use dos_protocol::{
    Card, ImageArg, ImageName, ImagePath, InviteCode, JoinLink, Password, PeerId, PeerName, PeerRef,
    PublicKey,
    card::is_card,
    control::RequestArg,
    duration::{format_duration, parse_duration},
    limits::{IMAGE_NAME_BYTES_MAX, PEER_NAME_CHARS_MAX},
    link::split_host_port,
    model::{Address, Format},
    name::printable,
};

fn again<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    let shown = read.to_string();
    match shown.parse::<T>() {
        Ok(second) => assert!(second == read, "{text:?} is shown as {shown:?}, which is something else"),
        Err(_) => panic!("{text:?} is shown as {shown:?}, which is refused"),
    }
    Some(read)
}

/// Join links, cards, addresses, and what can be an argument.
pub fn links(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    again::<JoinLink>(text);
    if let Some(card) = again::<Card>(text) {
        assert!(is_card(text));
        assert!(card.fingerprint().to_string().is_ascii());
    }
    again::<InviteCode>(text);
    again::<PublicKey>(text);
    again::<PeerId>(text);
    again::<Address>(text);
    again::<PeerRef>(text);
    again::<ImageArg>(text);
    again::<ImagePath>(text);
    text.parse::<RequestArg>().ok();
    drop(split_host_port(text));
}

/// Names, what is shown of others' texts, passwords, durations.
pub fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(name) = again::<PeerName>(&text) {
        assert!(name.as_str().chars().count() <= PEER_NAME_CHARS_MAX);
    }
    let given = again::<ImageName>(&text);
    let of_a_file = ImageName::from_file_stem(&text).ok();
    if let Some(name) = &of_a_file {
        assert_eq!(name.check_new(), Ok(()), "{name}");
    }
    for name in [given, of_a_file].into_iter().flatten() {
        assert!(name.as_str().len() <= IMAGE_NAME_BYTES_MAX);
        assert!(!name.as_str().contains(['/', '\0']));
        // Names of earlier releases may have what a new one must not; they are shown without it.
        if name.check_new().is_ok() {
            assert_eq!(printable(name.as_str()), name.as_str());
        }
    }
    assert!(!printable(&text).chars().any(|c| c.is_control()));
    drop(text.parse::<Password>());
    text.parse::<Format>().ok();
    if let Ok(duration) = parse_duration(&text) {
        let shown = format_duration(duration);
        let seconds = parse_duration(&shown).map_or(0, |again| again.as_secs());
        assert_eq!(seconds, duration.as_secs(), "{shown}");
    }
}
