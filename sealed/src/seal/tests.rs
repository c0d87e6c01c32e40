//! What sealing promises: one pass, the right hashes, a format that does not drift.

use std::io::Cursor;

use super::*;
use crate::header::sealed_len;
use crate::open::Opener;

const C: usize = CHUNK_BYTES;

/// Bytes without a pattern that a chunk or block border could hide behind.
fn original(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(b"original").finalize_xof().fill(&mut bytes);
    bytes
}

fn key() -> ContentKey {
    ContentKey::from_bytes([0x42; 32])
}

fn seal(plain: &[u8]) -> (Vec<u8>, Sealed) {
    let mut sealer = Sealer::new(Vec::new(), &key()).unwrap();
    sealer.push(plain).unwrap();
    sealer.finish().unwrap()
}

/// Fails every write behind the first `room` bytes.
struct Full {
    room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives its bytes in pieces of `step`, interrupted before each, and fails at the end if told so.
struct Drip<'a> {
    bytes: &'a [u8],
    step: usize,
    interrupted: bool,
    fails: bool,
}

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.bytes.is_empty() && std::mem::take(&mut self.fails) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let step = self.step.min(out.len());
        self.bytes.read(&mut out[..step])
    }
}

#[test]
fn what_is_reported_is_what_was_written() {
    for len in [0, 1, C - 1, C, C + 1, 3 * C, 4 * C + 1, 16 * C, (5 << 20) + 12_345] {
        let plain = original(len);
        let (bytes, sealed) = seal(&plain);
        assert_eq!(sealed.plain_hash, *blake3::hash(&plain).as_bytes(), "{len}");
        assert_eq!(sealed.plain_bytes, len as u64);
        assert_eq!(sealed.hash, *blake3::hash(&bytes).as_bytes(), "{len}");
        assert_eq!(sealed.bytes, bytes.len() as u64);
        assert_eq!(sealed.bytes, sealed_len(len as u64), "{len}");
        assert_eq!(sealed.blocks.root(), &sealed.hash);
        for (index, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
            sealed.blocks.verify(index, block).unwrap();
        }
    }
}

#[test]
fn how_the_original_is_cut_in_pieces_changes_nothing() {
    for len in [0, 1, C - 1, C, C + 1, 8 * C, 8 * C + 9] {
        let plain = original(len);
        let sealed_by = |feed: &dyn Fn(&mut Sealer<Vec<u8>>)| {
            let mut sealer = Sealer::with_salt(Vec::new(), &key(), [7; 32]).unwrap();
            feed(&mut sealer);
            sealer.finish().unwrap()
        };
        let whole = sealed_by(&|sealer| sealer.push(&plain).unwrap());
        for step in [997, C - 1, C, C + 1, 3 * C] {
            assert!(
                whole
                    == sealed_by(&|sealer| plain.chunks(step).for_each(|piece| sealer.push(piece).unwrap())),
                "{len} bytes pushed in pieces of {step}"
            );
            let drip = |fails| Drip { bytes: &plain, step, interrupted: false, fails };
            assert!(
                whole == sealed_by(&|sealer| assert_eq!(sealer.push_from(drip(false)).unwrap(), len as u64)),
                "{len} bytes read in pieces of {step}"
            );
            assert!(
                whole
                    == sealed_by(&|sealer| {
                        assert!(matches!(sealer.push_from(drip(true)), Err(SealError::Read(_))));
                        assert_eq!(sealer.push_from(io::empty()).unwrap(), 0);
                    }),
                "{len} bytes read up to an error in pieces of {step}"
            );
        }
    }
}

#[test]
fn two_sealings_of_one_original_have_different_salts_and_bytes() {
    let plain = original(C);
    let (first, _) = seal(&plain);
    let (second, _) = seal(&plain);
    assert_ne!(first[16..48], second[16..48]);
    assert_ne!(first[48..], second[48..]);
}

#[test]
fn the_format_does_not_drift() {
    let golden = [
        (0, "aa4e4b2eb59be72f0b3e0a47ab2c72a808b8b38ec15587668687c2437e3e5faf"),
        (1, "96ea4def8fd084e03d9ea50b7dccf7949e85e0b1a60e45eb20bb4097263d5a60"),
        (3 * (1 << 16), "19240ba138a3f5bbc680d59a178ce7f0569381034cb70416cfca1e544b787d1a"),
        ((1 << 20) + 5, "bcfa737cfe7f534a46813ab03105033133763ffb5807ff140ae2284f6cc7385a"),
    ];
    for (len, hash) in golden {
        let mut sealer = Sealer::with_salt(Vec::new(), &key(), [0x17; 32]).unwrap();
        sealer.push(&original(len)).unwrap();
        let (bytes, _) = sealer.finish().unwrap();
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), hash, "sealed copy of {len} bytes");
    }
}

#[test]
fn a_failed_write_ends_the_sealing_for_good() {
    let mut sealer = Sealer::new(Full { room: WRITE_BYTES }, &key()).unwrap();
    let plain = original(2 * WRITE_BYTES + 2 * C);
    assert!(matches!(sealer.push(&plain), Err(SealError::Write(_))));
    assert!(matches!(sealer.push(&plain), Err(SealError::Failed)));
    assert!(matches!(sealer.push_from(plain.as_slice()), Err(SealError::Failed)));
    assert!(matches!(sealer.finish(), Err(SealError::Failed)));
}

#[test]
fn a_full_disk_is_reported_wherever_it_comes() {
    let plain = original(3 * C);
    let sealed = usize::try_from(sealed_len(plain.len() as u64)).unwrap();
    for room in [0, 1, sealed - 1] {
        let mut sealer = Sealer::new(Full { room }, &key()).unwrap();
        assert!(matches!(
            sealer.push(&plain).and_then(|()| sealer.finish().map(|_| ())),
            Err(SealError::Write(_))
        ));
    }
}

#[test]
fn an_original_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    for len in [0, C - 1, C, C + 1, 5 * C] {
        let bytes = sealed_len(len as u64);
        for (bytes_max, fits) in [(bytes, true), (bytes - 1, false)] {
            let mut sealer = Sealer::new(Vec::new(), &key()).unwrap();
            assert_eq!(std::mem::replace(&mut sealer.bytes_max, bytes_max), SEALED_BYTES_MAX);
            match sealer.push(&original(len)).and_then(|()| sealer.finish()) {
                Ok((_, sealed)) => assert!(fits && sealed.bytes == bytes, "{len}"),
                Err(error) => assert!(!fits && matches!(error, SealError::TooLarge), "{len}"),
            }
        }
    }
}

#[test]
fn an_abandoned_sealing_is_no_sealed_copy() {
    let mut file = Vec::new();
    let mut sealer = Sealer::new(&mut file, &key()).unwrap();
    sealer.push(&original(3 * WRITE_BYTES)).unwrap();
    drop(sealer);
    assert!(!file.is_empty());
    assert!(Opener::new(Cursor::new(&file), &key()).is_err());
}

#[test]
fn debug_shows_no_plaintext() {
    let mut sealer = Sealer::new(Vec::new(), &key()).unwrap();
    sealer.push(b"secret").unwrap();
    assert_eq!(format!("{sealer:?}"), "Sealer { chunk: 0, failed: false, .. }");
}
