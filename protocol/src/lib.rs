//! What two programs of dos must agree on: ids, names, keys, join links, frames, messages, errors and limits.
//!
//! Everything here is plain data and pure functions, except [`tls`] and the asynchronous half of [`frame`].
//! Nothing here knows SQL, arguments or another program; what may travel is here, what is done with it is not.

pub mod admin;
pub mod card;
pub mod control;
pub mod directory;
pub mod duration;
pub mod error;
pub mod fingerprint;
pub mod frame;
pub mod id;
pub mod invitation;
pub mod invite;
pub mod key;
pub mod kind;
pub mod lan;
pub mod limits;
pub mod link;
pub mod model;
pub mod name;
pub mod node;
#[cfg(feature = "opaque")]
pub mod opaque;
pub mod password;
pub mod paths;
pub mod peer;
#[cfg(feature = "tls")]
pub mod random;
pub mod record;
pub mod scope;
pub mod sealing;
pub mod signature;
pub mod size;
pub mod taken;
pub mod text;
pub mod thumbhash;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;

pub use card::Card;
pub use duration::parse_duration;
pub use error::{Code, Near, Reason, WireError};
pub use fingerprint::Fingerprint;
pub use id::{
    ImageId, ImageNo, Incarnation, Instance, MessageId, Nonce, OperationId, PeerId, Revision, SealedHash,
    Seq, ShareCheck, SplitId, ViewId,
};
pub use invitation::Invitation;
pub use invite::InviteCode;
pub use key::PublicKey;
pub use link::JoinLink;
pub use model::{Allowance, ImageArg, ImagePath, PeerRef, Visibility};
pub use name::{AlbumName, Description, ImageName, PeerName};
pub use password::Password;
pub use sealing::SealingKey;
pub use signature::Signature;
pub use taken::TakenAt;
pub use thumbhash::ThumbHash;
pub use time::Timestamp;
