//! Frames: a big-endian `u32` length, then one CBOR item (RFC 8949) of that many bytes.
//!
//! A frame above [`FRAME_BYTES_MAX`] is refused before anything is allocated for it, memory for a body grows only as its
//! bytes arrive, and nesting is bounded. What a body means is not known here.

use std::io::{self, Read};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::limits::{CBOR_DEPTH_MAX, FRAME_BYTES_MAX, FRAME_GROWTH_BYTES};

/// Why a frame cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side announced, or we made, too much.
    #[error("a frame of {0} bytes is above the limit")]
    TooLarge(usize),
    /// Not one CBOR item of the expected shape.
    #[error("malformed message: {0}")]
    Malformed(Box<str>),
    /// The connection ended in the middle of a frame.
    #[error("the connection ended in the middle of a message")]
    Cut,
    /// A frame was begun and not finished in time.
    #[error("a message did not arrive in time")]
    Slow,
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Appends `message` to `out` as a frame.
///
/// # Errors
/// [`FrameError::TooLarge`]; `out` is then as before.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if let Err(error) = ciborium::into_writer(message, &mut *out) {
        out.truncate(start);
        return Err(FrameError::Malformed(error.to_string().into()));
    }
    let body = out.len() - start - 4;
    match u32::try_from(body) {
        Ok(length) if body <= FRAME_BYTES_MAX => {
            if let Some(place) = out.get_mut(start..start + 4) {
                place.copy_from_slice(&length.to_be_bytes());
            }
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(FrameError::TooLarge(body))
        }
    }
}

/// `message` as a frame of its own.
///
/// # Errors
/// [`FrameError::TooLarge`].
pub fn to_frame<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::new();
    encode(message, &mut out)?;
    Ok(out)
}

/// Room for any message with a secret in it: a password has 1 KiB at most.
const SECRET_FRAME_BYTES: usize = 8 << 10;

/// As [`to_frame`], for a message that may have a secret in it: the bytes are wiped when dropped, and no copy of them is left behind by
/// a buffer that had to grow, unless the message is larger than any with a secret.
///
/// # Errors
/// As [`to_frame`].
pub fn to_wiped_frame<T: Serialize>(message: &T) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let mut out = Zeroizing::new(Vec::with_capacity(SECRET_FRAME_BYTES));
    encode(message, &mut out)?;
    Ok(out)
}

/// Reads the body of a frame.
///
/// # Errors
/// [`FrameError::Malformed`] if it is not exactly one item of this type.
pub fn decode<T: DeserializeOwned>(mut body: &[u8]) -> Result<T, FrameError> {
    let item = ciborium::de::from_reader_with_recursion_limit(&mut body, CBOR_DEPTH_MAX)
        .map_err(|error| FrameError::Malformed(explain(error).into()))?;
    if body.is_empty() { Ok(item) } else { Err(FrameError::Malformed("more than one item".into())) }
}

fn explain(error: ciborium::de::Error<io::Error>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "it ends too early".into(),
        ciborium::de::Error::Syntax(_) => "not CBOR".into(),
        ciborium::de::Error::Semantic(_, text) => text,
        ciborium::de::Error::RecursionLimitExceeded => "nested too deep".into(),
    }
}

fn checked_length(header: [u8; 4], max: usize) -> Result<usize, FrameError> {
    let length = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if length > max { Err(FrameError::TooLarge(length)) } else { Ok(length) }
}

/// Reads one frame's body, blocking; `None` at a clean end.
///
/// # Errors
/// As in [`FrameError`].
pub fn read_blocking<R: Read>(input: &mut R) -> Result<Option<Vec<u8>>, FrameError> {
    let mut header = [0; 4];
    let mut have = 0;
    while have < header.len() {
        match input.read(header.get_mut(have..).unwrap_or_default()) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::Cut),
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = checked_length(header, FRAME_BYTES_MAX)?;
    let mut body = Vec::with_capacity(length.min(FRAME_GROWTH_BYTES));
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    if input.take(limit).read_to_end(&mut body)? == length { Ok(Some(body)) } else { Err(FrameError::Cut) }
}

#[cfg(feature = "async")]
pub use stream::Reader;

#[cfg(feature = "async")]
mod stream {
    use tokio::{
        io::{AsyncRead, AsyncReadExt},
        time::{Instant, timeout_at},
    };

    use super::{FRAME_GROWTH_BYTES, FrameError, checked_length};
    use crate::limits::{FRAME_BYTES_MAX, FRAME_TIME_MAX};

    /// Reads frames from a stream. While no frame is under way it holds no buffer, so that idle connections are small.
    #[derive(Debug)]
    pub struct Reader<R> {
        input: R,
        header: [u8; 4],
        header_have: usize,
        /// The largest frame that may come.
        max: usize,
        /// The body under way: how long it will be, when it must be whole, and what is there.
        body: Option<(usize, Instant, Vec<u8>)>,
    }

    impl<R: AsyncRead + Unpin> Reader<R> {
        /// Frames from `input`.
        pub fn new(input: R) -> Self {
            Self::bounded(input, FRAME_BYTES_MAX)
        }

        /// Frames from `input`, of at most `max` bytes: of somebody who has nothing larger to say, or not yet.
        pub fn bounded(input: R, max: usize) -> Self {
            Self { input, header: [0; 4], header_have: 0, max, body: None }
        }

        /// From the next frame on, frames may have up to `max` bytes.
        pub fn allow(&mut self, max: usize) {
            self.max = max;
        }

        /// The stream itself: for what follows a frame as plain bytes, and for writing.
        pub fn get_mut(&mut self) -> &mut R {
            &mut self.input
        }

        /// The stream back. A frame under way is lost.
        pub fn into_inner(self) -> R {
            self.input
        }

        /// The next frame's body; `None` at a clean end. Cancelling it loses nothing.
        ///
        /// # Errors
        /// As in [`FrameError`]; afterwards the stream is of no use.
        pub async fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
            while self.body.is_none() {
                let missing = self.header.get_mut(self.header_have..).unwrap_or_default();
                match self.input.read(missing).await? {
                    0 if self.header_have == 0 => return Ok(None),
                    0 => return Err(FrameError::Cut),
                    count => self.header_have += count,
                }
                if self.header_have == self.header.len() {
                    self.header_have = 0;
                    let length = checked_length(self.header, self.max)?;
                    let room = Vec::with_capacity(length.min(FRAME_GROWTH_BYTES));
                    self.body = Some((length, Instant::now() + FRAME_TIME_MAX, room));
                }
            }
            // Boxed, since most of the time nothing is on its way, and thousands wait for it.
            Box::pin(self.body()).await.map(Some)
        }

        async fn body(&mut self) -> Result<Vec<u8>, FrameError> {
            let Some((length, deadline, bytes)) = &mut self.body else { return Ok(Vec::new()) };
            while bytes.len() < *length {
                let missing = (*length - bytes.len()).min(FRAME_GROWTH_BYTES);
                bytes.reserve(missing);
                let limit = u64::try_from(missing).unwrap_or(u64::MAX);
                let mut input = (&mut self.input).take(limit);
                match timeout_at(*deadline, input.read_buf(bytes)).await {
                    Err(_) => return Err(FrameError::Slow),
                    Ok(Ok(0)) => return Err(FrameError::Cut),
                    Ok(result) => result?,
                };
            }
            Ok(self.body.take().map(|(_, _, bytes)| bytes).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_oversized_frame_is_refused_from_its_length_alone() {
        let header = u32::MAX.to_be_bytes();
        assert!(matches!(read_blocking(&mut &header[..]), Err(FrameError::TooLarge(_))));
    }

    #[test]
    fn what_we_make_is_bounded_too_and_leaves_the_buffer_alone() {
        let mut out = vec![1, 2];
        let big = serde_bytes::ByteBuf::from(vec![0; FRAME_BYTES_MAX + 1]);
        assert!(matches!(encode(&big, &mut out), Err(FrameError::TooLarge(_))));
        assert_eq!(out, [1, 2]);
    }

    #[test]
    fn deep_nesting_is_refused_without_exhausting_the_stack() {
        let deep = vec![0x81; FRAME_BYTES_MAX];
        assert!(decode::<serde::de::IgnoredAny>(&deep).is_err());
        assert!(decode::<crate::directory::ToDirectory>(&deep).is_err());
    }

    #[test]
    fn the_buffer_of_a_secret_never_grows() {
        let password: crate::Password = "x".repeat(crate::limits::PASSWORD_BYTES_MAX).parse().unwrap();
        let command = crate::control::Command::SetPassword(Some(password));
        let frame = to_wiped_frame(&crate::control::ToPeerd::Do(Box::new(command))).unwrap();
        assert_eq!((frame.capacity(), frame.len() > 1000), (SECRET_FRAME_BYTES, true));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert!(matches!(decode::<u8>(&[1, 1]), Err(FrameError::Malformed(_))));
    }

    #[tokio::test]
    async fn the_reader_tells_a_clean_end_from_a_cut() {
        let frame = to_frame(&"hello").unwrap();
        let mut whole = Reader::new(&frame[..]);
        assert_eq!(decode::<String>(&whole.next().await.unwrap().unwrap()).unwrap(), "hello");
        assert!(whole.next().await.unwrap().is_none());
        for cut in 1..frame.len() {
            let mut reader = Reader::new(&frame[..cut]);
            assert!(matches!(reader.next().await, Err(FrameError::Cut)), "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_sender_is_given_up() {
        let (mut far, near) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut far, &[0, 0, 0, 9, 1]).await.unwrap();
        assert!(matches!(Reader::new(near).next().await, Err(FrameError::Slow)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            drop(decode::<crate::directory::ToDirectory>(&bytes));
            drop(decode::<crate::directory::FromDirectory>(&bytes));
            drop(decode::<crate::control::ToPeerd>(&bytes));
            drop(decode::<crate::peer::ToPeer>(&bytes));
            drop(read_blocking(&mut &bytes[..]));
        }
    }
}
