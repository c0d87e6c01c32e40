//! The documents of messages, of requests for contact, and of blocks.

use dos_protocol::{
    MessageId, PeerId, PeerName,
    control::{self, ContactRequest, Way},
    directory::{self, Delivery, RequestState},
    model::Address,
};
use serde::{Serialize, Serializer};

use super::Moment;

/// Something that has no form of its own in JSON, as text.
fn text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// Of `send`.
#[derive(Debug, Serialize)]
pub(crate) struct Sent<'a> {
    #[serde(serialize_with = "text")]
    message: MessageId,
    pub(crate) to: PeerId,
    pub(crate) state: Delivery,
    pub(crate) to_name: Option<&'a PeerName>,
    direct: bool,
    way: Option<&'static str>,
    address: Option<Address>,
}

impl<'a> Sent<'a> {
    /// A message that was taken, and which way a direct one went.
    #[must_use]
    pub(crate) fn new(
        message: MessageId,
        to: PeerId,
        to_name: Option<&'a PeerName>,
        state: Delivery,
        way: Option<Way>,
    ) -> Self {
        let (name, address) = match way {
            None => (None, None),
            Some(Way::Direct(address)) => (Some("direct"), Some(address)),
            Some(Way::Relayed) => (Some("relayed"), None),
        };
        Self { message, to, state, to_name, direct: way.is_some(), way: name, address }
    }

    /// Which way a direct one went.
    #[must_use]
    pub(crate) fn way(&self) -> Option<Way> {
        self.direct.then_some(self.address.map_or(Way::Relayed, Way::Direct))
    }
}

/// A message: in `messages`, and as an event.
#[derive(Debug, Serialize)]
pub(crate) struct Message<'a> {
    #[serde(serialize_with = "text")]
    message: MessageId,
    from: PeerId,
    to: Option<PeerId>,
    text: &'a str,
    sent_at: Moment,
    read: bool,
    direct: bool,
    broadcast: bool,
    from_name: Option<&'a PeerName>,
    to_name: Option<&'a PeerName>,
    state: Option<Delivery>,
    place: u64,
    signed: bool,
}

impl<'a> From<&'a control::Message> for Message<'a> {
    fn from(message: &'a control::Message) -> Self {
        Self {
            message: message.message,
            from: message.from,
            to: message.to,
            text: &message.text,
            sent_at: Moment(message.sent_at),
            read: message.read,
            direct: message.direct,
            broadcast: message.to.is_none(),
            from_name: message.from_name.as_ref(),
            to_name: message.to_name.as_ref(),
            state: message.delivery,
            place: message.place,
            signed: message.signed,
        }
    }
}

/// Of `messages`.
#[derive(Debug, Serialize)]
pub(crate) struct Messages<'a> {
    messages: Vec<Message<'a>>,
}

impl<'a> Messages<'a> {
    #[must_use]
    pub(crate) fn new(messages: &[&'a control::Message]) -> Self {
        Self { messages: messages.iter().map(|message| Message::from(*message)).collect() }
    }
}

/// Of `broadcast`.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// Number of peers that got it.
    pub(crate) told: u64,
}

/// CONTACT: a peer that wants to send direct messages.
#[derive(Debug, Serialize)]
pub(crate) struct Contact<'a> {
    request: String,
    kind: &'static str,
    from: PeerId,
    state: RequestState,
    created_at: Moment,
    decided_at: Option<Moment>,
    from_name: Option<&'a PeerName>,
}

impl<'a> From<&'a ContactRequest> for Contact<'a> {
    fn from(contact: &'a ContactRequest) -> Self {
        Self {
            request: format!("c{}", contact.number),
            kind: "contact",
            from: contact.from,
            state: contact.state,
            created_at: Moment(contact.created_at),
            decided_at: contact.decided_at.map(Moment),
            from_name: contact.from_name.as_ref(),
        }
    }
}

/// Of `block`.
#[derive(Debug, Serialize)]
pub(crate) struct Blocked<'a> {
    peer: PeerId,
    name: Option<&'a PeerName>,
    messages_purged: u64,
    requests_purged: u64,
    rights: u64,
}

impl<'a> From<&'a directory::Blocked> for Blocked<'a> {
    fn from(blocked: &'a directory::Blocked) -> Self {
        Self {
            peer: blocked.peer,
            name: blocked.name.as_ref(),
            messages_purged: blocked.messages_purged,
            requests_purged: blocked.requests_purged,
            rights: blocked.rights,
        }
    }
}

/// Of `unblock`.
#[derive(Debug, Serialize)]
pub(crate) struct Unblocked<'a> {
    pub(crate) peer: PeerId,
    pub(crate) name: Option<&'a PeerName>,
}

/// Of `blocks`.
#[derive(Debug, Serialize)]
pub(crate) struct Blocks<'a> {
    blocks: Vec<Block<'a>>,
}

#[derive(Debug, Serialize)]
struct Block<'a> {
    peer: PeerId,
    name: Option<&'a PeerName>,
    since: Moment,
}

impl<'a> Blocks<'a> {
    #[must_use]
    pub(crate) fn new(blocks: &'a [directory::Block]) -> Self {
        let one = |block: &'a directory::Block| Block {
            peer: block.peer,
            name: block.name.as_ref(),
            since: Moment(block.since),
        };
        Self { blocks: blocks.iter().map(one).collect() }
    }
}
