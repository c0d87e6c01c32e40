//! The sealed copy: the form in which an original travels from peer to peer and rests on a viewer's disk.
//!
//! - [`keys`]: the content key of an image, and its two shares, neither of which says anything alone.
//! - [`header`]: the layout of the file and the arithmetic of its lengths.
//! - [`seal`]: [`Sealer`] turns an original into a sealed copy in one pass, with every hash on the way.
//! - [`open`]: [`Opener`] reads the original out of a sealed copy, from front to end or at any place.
//! - [`tree`]: [`BlockList`] lets a receiver check each block of a sealed copy as it arrives, against one hash.
//!
//! What always holds: no byte of plaintext leaves this crate that the key has not authenticated at its place in
//! its file; no input, however made, panics or makes it allocate more than a constant (a [`BlockList`] of
//! [`SEALED_BYTES_MAX`] is 512 KiB, a chunk at most 1 MiB); keys and plaintext buffers are wiped when dropped.
//!
//! What it deliberately does not do: no file names, no sockets, no async runtime, no threads, no policy. Who may
//! open what, and how often, is decided by who holds which share.

mod cipher;
pub mod header;
pub mod keys;
pub mod open;
pub mod seal;
pub mod tree;

pub use header::{CHUNK_BYTES, HEADER_BYTES, HeaderError, TAG_BYTES, plain_len, sealed_len};
pub use keys::{ContentKey, DirectoryShare, KEY_BYTES, KeyLengthError, OwnerShare};
pub use open::{OpenError, Opener, plain_len_of};
pub use seal::{SealError, Sealed, Sealer};
pub use tree::{
    BLOCK_BYTES, BlockCheck, BlockHasher, BlockList, HASH_BYTES, SEALED_BYTES_MAX, TreeError, hash_file,
};
