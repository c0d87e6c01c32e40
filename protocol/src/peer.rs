//! What two peers say to each other (`dos-peer/1`): a viewer fetches a sealed copy from its owner, a sender brings a
//! message.
//!
//! The caller sends [`ToPeer`], the one that was called answers each with one [`FromPeer`], except [`ToPeer::More`]. After a
//! [`FromPeer::Copy`] plain bytes follow: first `blocks` chaining values of 32 bytes, then the sealed file from byte `skip`
//! of block `from` to its end. While they follow, the caller says with [`ToPeer::More`] how far it takes them. Then the next
//! request may come on the same connection.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::{
    error::WireError,
    id::{ImageNo, MessageId, SealedHash, SplitId},
    record::{ImageRecord, SignedImage},
    time::Timestamp,
};

/// From the one that called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ToPeer {
    /// Wants a sealed copy and the owner share for one's right to it.
    Fetch(Fetch),
    /// Takes more of the copy that is on its way.
    More {
        /// The offset in the sealed file up to which the caller takes bytes; higher each time. Above the file's end is the
        /// end.
        upto: u64,
    },
    /// Brings a message that the directory shall not see. The same ID again stores nothing more.
    Message(DirectMessage),
    /// Wants a [`FromPeer::Pong`].
    Ping,
}

/// See [`ToPeer::Message`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DirectMessage {
    /// Drawn by the sender, written down before it is sent.
    pub message: MessageId,
    /// When the sender wrote it, by its own clock.
    pub sent_at: Timestamp,
    /// What it says, 1 to [`crate::limits::MESSAGE_BYTES_MAX`].
    pub text: Box<str>,
}

impl std::fmt::Debug for DirectMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DirectMessage({}, {} bytes)", self.message, self.text.len())
    }
}

/// See [`ToPeer::Fetch`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fetch {
    /// Of which image.
    pub image: ImageNo,
    /// Which sealed copy; another one is refused as stale.
    pub sealed: SealedHash,
    /// The splitting that the viewer's right has.
    pub split: SplitId,
    /// The first block that the viewer does not have; the number of blocks, if it wants the share alone.
    pub from: u32,
    /// Bytes of that block that the viewer has already.
    #[serde(default)]
    pub skip: u32,
    /// The offset in the sealed file up to which the viewer takes bytes, until it says [`ToPeer::More`]; all, if not said.
    #[serde(default)]
    pub upto: Option<u64>,
}

/// From the one that was called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FromPeer {
    /// The copy follows.
    Copy(Copy),
    /// The message is stored.
    Stored,
    /// Answers a ping.
    Pong,
    /// Refused.
    Refused(WireError),
}

/// See [`FromPeer::Copy`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// The size of the whole sealed file in bytes.
    pub bytes: u64,
    /// How many chaining values follow.
    pub blocks: u32,
    /// The owner's share of the content key, 32 bytes.
    #[serde(with = "serde_bytes")]
    pub share: [u8; 32],
    /// What the owner has signed of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Box<Signed>>,
}

/// An image as its owner describes and signs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// What is signed.
    pub image: SignedImage,
    /// The owner's word for it.
    pub record: ImageRecord,
}

impl std::fmt::Debug for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Copy({} bytes, {} blocks, ..)", self.bytes, self.blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[test]
    fn golden_bytes_of_a_raised_limit() {
        let frame = frame::to_frame(&ToPeer::More { upto: 300 }).unwrap();
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0000000fa1646d6f7265a1647570746f19012c");
    }

    #[test]
    fn a_fetch_that_knows_no_limit_and_no_part_of_a_block_takes_everything_from_a_block_on() {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Old {
            Fetch(OldFetch),
        }
        #[derive(Serialize)]
        struct OldFetch {
            image: ImageNo,
            sealed: SealedHash,
            split: SplitId,
            from: u32,
        }
        let (image, sealed, split) = (ImageNo(4), SealedHash::from([1; 32]), SplitId::from([2; 16]));
        let frame = frame::to_frame(&Old::Fetch(OldFetch { image, sealed, split, from: 7 })).unwrap();
        let body = frame.get(4..).unwrap_or_default();
        let fetch = Fetch { image, sealed, split, from: 7, skip: 0, upto: None };
        assert_eq!(frame::decode::<ToPeer>(body).unwrap(), ToPeer::Fetch(fetch));
    }
}
