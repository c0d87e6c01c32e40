//! What two programs of dos must agree on: ids, names, keys, join links, frames, messages, errors and limits.
//!
//! Everything here is plain data and pure functions, except [`tls`] and the asynchronous half of [`frame`].
//! Nothing here knows SQL, arguments or another program; what may travel is here, what is done with it is not.

pub mod admin;
pub mod control;
pub mod directory;
pub mod duration;
pub mod error;
pub mod frame;
pub mod id;
pub mod invite;
pub mod key;
pub mod kind;
pub mod limits;
pub mod link;
pub mod model;
pub mod name;
pub mod password;
pub mod paths;
pub mod peer;
#[cfg(feature = "tls")]
pub mod random;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;

pub use duration::parse_duration;
pub use error::{Code, Reason, WireError};
pub use id::{
    ImageId, ImageNo, Incarnation, Instance, MessageId, Nonce, OperationId, PeerId, Revision, SealedHash,
    Seq, SplitId, ViewId,
};
pub use invite::InviteCode;
pub use key::PublicKey;
pub use link::JoinLink;
pub use model::{Allowance, ImageArg, ImagePath, PeerRef};
pub use name::{ImageName, PeerName};
pub use password::Password;
pub use time::Timestamp;
