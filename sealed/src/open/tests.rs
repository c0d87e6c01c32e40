//! What opening promises: nothing that is not authentic is ever released.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::header::CHUNK_BYTES;
use crate::seal::Sealer;

const C: usize = CHUNK_BYTES;
const STRIDE: usize = C + TAG_BYTES;

fn original(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(b"original").finalize_xof().fill(&mut bytes);
    bytes
}

fn key() -> ContentKey {
    ContentKey::from_bytes([0x42; 32])
}

fn seal(plain: &[u8]) -> Vec<u8> {
    let mut sealer = Sealer::new(Vec::new(), &key()).unwrap();
    sealer.push(plain).unwrap();
    sealer.finish().unwrap().0
}

fn open(sealed: &[u8]) -> Result<Opener<Cursor<&[u8]>>, OpenError> {
    Opener::new(Cursor::new(sealed), &key())
}

/// Reads what there is up to the first error, and that error.
fn read_all(sealed: &[u8]) -> (Vec<u8>, Option<OpenError>) {
    let mut plain = Vec::new();
    let mut opener = match open(sealed) {
        Ok(opener) => opener,
        Err(error) => return (plain, Some(error)),
    };
    loop {
        match opener.next_chunk() {
            Ok(Some(chunk)) => plain.extend_from_slice(chunk),
            Ok(None) => return (plain, None),
            Err(error) => return (plain, Some(error)),
        }
    }
}

/// The header and each chunk with its tag.
fn parts(sealed: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (header, body) = sealed.split_at(HEADER_BYTES);
    (header.to_vec(), body.chunks(STRIDE).map(<[u8]>::to_vec).collect())
}

#[track_caller]
fn assert_refused_at_once(sealed: &[u8]) {
    let (plain, error) = read_all(sealed);
    assert!(error.is_some());
    assert!(plain.is_empty(), "{} bytes released", plain.len());
}

/// Opens, but fails at the damage, and everything released before it is the original's.
#[track_caller]
fn assert_detected(sealed: &[u8], original: &[u8]) {
    let (plain, error) = read_all(sealed);
    assert!(matches!(error, Some(OpenError::Chunk(_) | OpenError::Key)));
    assert!(original.starts_with(&plain) && plain.len() < original.len());
}

#[test]
fn every_size_comes_back_whole_in_every_way_of_reading() {
    for len in [0, 1, C - 1, C, C + 1, 2 * C, 2 * C + 1, 64 * C, (5 << 20) + 12_345] {
        let plain = original(len);
        let sealed = seal(&plain);
        assert_eq!(open(&sealed).unwrap().plain_len(), len as u64);

        let (streamed, error) = read_all(&sealed);
        assert!(error.is_none() && streamed == plain, "streamed {len}");

        let mut read = Vec::new();
        open(&sealed).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == plain, "read {len}");

        let mut copied = Vec::new();
        std::io::copy(&mut open(&sealed).unwrap(), &mut copied).unwrap();
        assert!(copied == plain, "copied {len}");
    }
}

#[test]
fn a_real_file_opens_too() {
    let plain = original(3 * C + 5);
    let mut sealer = Sealer::new(tempfile::tempfile().unwrap(), &key()).unwrap();
    assert_eq!(sealer.push_from(plain.as_slice()).unwrap(), plain.len() as u64);
    let (file, _) = sealer.finish().unwrap();
    let mut read = Vec::new();
    Opener::new(file, &key()).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == plain);
}

#[test]
fn a_key_joined_from_its_shares_opens_and_any_other_does_not() {
    let key = key();
    let sealed = seal(b"an image");
    let (owner, directory) = key.split().unwrap();
    let (_, other) = key.split().unwrap();
    assert!(Opener::new(Cursor::new(&sealed), &ContentKey::join(&owner, &directory)).is_ok());
    for wrong in [ContentKey::join(&owner, &other), ContentKey::from_bytes([0; 32])] {
        assert!(matches!(Opener::new(Cursor::new(&sealed), &wrong), Err(OpenError::Key)));
    }
    assert!(Opener::new(Cursor::new(&sealed), &ContentKey::from_bytes(*owner.as_bytes())).is_err());
}

#[test]
fn every_flipped_bit_of_a_short_copy_is_detected() {
    for len in [0, 1, 40] {
        let sealed = seal(&original(len));
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_refused_at_once(&bad);
        }
    }
}

#[test]
fn flipped_bits_of_the_header_and_the_last_chunk_are_refused_before_any_byte_is_read() {
    let plain = original(2 * C + 100);
    let mut sealed = seal(&plain);
    let last = HEADER_BYTES + 2 * STRIDE;
    for bit in (0..HEADER_BYTES * 8).chain(last * 8..sealed.len() * 8) {
        sealed[bit / 8] ^= 1 << (bit % 8);
        assert_refused_at_once(&sealed);
        sealed[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(open(&sealed).is_ok());
}

#[test]
fn flipped_bits_of_other_chunks_release_nothing_of_that_chunk() {
    let plain = original(2 * C + 1);
    let mut sealed = seal(&plain);
    for chunk in [0, 1] {
        let start = HEADER_BYTES + chunk * STRIDE;
        // Every bit of the first and last bytes and of the tag; between them, some of every kind of position.
        let bits = (0..256).chain((256..C * 8).step_by(4093)).chain((C - 32) * 8..STRIDE * 8);
        for bit in bits {
            sealed[start + bit / 8] ^= 1 << (bit % 8);
            let (released, error) = read_all(&sealed);
            assert!(matches!(error, Some(OpenError::Chunk(index)) if index == chunk as u64));
            assert!(released == plain[..chunk * C]);
            sealed[start + bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_damaged_chunk_leaves_no_plaintext_behind_and_the_others_readable() {
    let plain = original(3 * C);
    let mut sealed = seal(&plain);
    sealed[HEADER_BYTES + STRIDE] ^= 1;
    let mut opener = open(&sealed).unwrap();
    assert_eq!(opener.next_chunk().unwrap().unwrap(), &plain[..C]);
    for _ in 0..2 {
        assert!(matches!(opener.next_chunk(), Err(OpenError::Chunk(1))));
        assert!(opener.buffer.iter().all(|byte| *byte == 0));
        let error = opener.read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.get_ref().is_some_and(|inner| inner.is::<OpenError>()));
    }
    opener.seek(SeekFrom::Start(2 * C as u64)).unwrap();
    assert_eq!(opener.next_chunk().unwrap().unwrap(), &plain[2 * C..]);
    opener.rewind().unwrap();
    assert_eq!(opener.next_chunk().unwrap().unwrap(), &plain[..C]);
}

#[test]
fn truncation_is_refused_at_once_wherever_it_falls() {
    let sealed = seal(&original(3 * C + 50));
    let borders = (0..4).map(|chunk| HEADER_BYTES + chunk * STRIDE);
    let around =
        borders.flat_map(|at| at.saturating_sub(20)..at + 20).chain([sealed.len() - 1, sealed.len() - 50]);
    for len in around {
        assert_refused_at_once(&sealed[..len]);
    }
}

#[test]
fn appending_is_refused_at_once() {
    for len in [0, 1, C - 1, C, 2 * C, 2 * C + 9] {
        let sealed = seal(&original(len));
        let (_, chunks) = parts(&sealed);
        for tail in [vec![0; 1], vec![0; 16], vec![0; 17], vec![0; STRIDE], chunks[0].clone(), sealed.clone()]
        {
            assert_refused_at_once(&[sealed.clone(), tail].concat());
        }
    }
}

#[test]
fn a_full_last_chunk_followed_by_an_empty_one_is_refused() {
    let plain = original(C);
    let sealed = seal(&plain);
    let header = Header::parse(sealed.first_chunk().unwrap()).unwrap();
    let cipher = ChunkCipher::new(&key(), &header).unwrap();
    let mut body = plain;
    let tag = cipher.seal(0, false, &mut body).unwrap();
    let empty = cipher.seal(1, true, &mut []).unwrap();
    let forged = [&sealed[..HEADER_BYTES], &body, &tag, &empty].concat();
    assert!(matches!(open(&forged), Err(OpenError::Header(HeaderError::Length(_)))));
}

#[test]
fn reordered_repeated_and_missing_chunks_are_detected() {
    let plain = original(4 * C);
    let (header, chunks) = parts(&seal(&plain));
    let with = |order: &[usize]| {
        let chosen = order.iter().flat_map(|at| chunks[*at].clone());
        header.iter().copied().chain(chosen).collect::<Vec<u8>>()
    };
    assert_eq!(read_all(&with(&[0, 1, 2, 3])).0, plain);
    for order in [[1, 0, 2, 3], [0, 2, 1, 3], [0, 1, 3, 2], [3, 1, 2, 0], [0, 0, 2, 3], [0, 1, 1, 3]] {
        assert_detected(&with(&order), &plain);
    }
    for order in
        [vec![0, 1, 2], vec![0, 1, 3], vec![1, 2, 3], vec![3], vec![0, 1, 2, 3, 3], vec![0, 1, 2, 2, 3]]
    {
        assert_refused_at_once(&with(&order));
    }
}

#[test]
fn chunks_of_two_copies_under_one_key_do_not_mix() {
    let plain = original(3 * C);
    let (header_a, a) = parts(&seal(&plain));
    let (header_b, b) = parts(&seal(&plain));
    let file = |header: &Vec<u8>, chunks: [&Vec<u8>; 3]| {
        [header.as_slice(), chunks[0], chunks[1], chunks[2]].concat()
    };
    assert_eq!(read_all(&file(&header_a, [&a[0], &a[1], &a[2]])).0, plain);
    assert_detected(&file(&header_a, [&b[0], &a[1], &a[2]]), &plain);
    assert_detected(&file(&header_a, [&a[0], &b[1], &a[2]]), &plain);
    assert_refused_at_once(&file(&header_a, [&a[0], &a[1], &b[2]]));
    assert_refused_at_once(&file(&header_b, [&a[0], &a[1], &a[2]]));
}

#[test]
fn a_copy_that_shrinks_while_it_is_open_gives_an_error_and_no_bytes() {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &seal(&original(4 * C))).unwrap();
    let mut opener = Opener::new(file.try_clone().unwrap(), &key()).unwrap();
    file.set_len((HEADER_BYTES + STRIDE + 10) as u64).unwrap();
    assert!(opener.next_chunk().unwrap().is_some());
    assert!(matches!(opener.next_chunk(), Err(OpenError::Read(_))));
    assert_eq!(opener.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn seeking_knows_its_borders() {
    let sealed = seal(&original(C + 10));
    let mut at = open(&sealed).unwrap();
    assert_eq!(at.seek(SeekFrom::End(-3)).unwrap(), C as u64 + 7);
    assert_eq!(at.next_chunk().unwrap().unwrap().len(), 3);
    assert_eq!(at.stream_position().unwrap(), C as u64 + 10);
    for beyond in [C as u64 + 10, C as u64 + 11, u64::MAX] {
        assert_eq!(at.seek(SeekFrom::Start(beyond)).unwrap(), beyond);
        assert_eq!(at.read(&mut [0; 9]).unwrap(), 0);
        assert!(at.fill_buf().unwrap().is_empty());
        assert!(at.next_chunk().unwrap().is_none());
    }
    for bad in [SeekFrom::Current(1), SeekFrom::End(-(C as i64) - 11), SeekFrom::Current(i64::MAX)] {
        assert_eq!(at.seek(bad).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(at.stream_position().unwrap(), u64::MAX);
    }
    at.consume(usize::MAX);
    assert_eq!(at.stream_position().unwrap(), u64::MAX);
}

#[test]
fn debug_shows_no_plaintext_and_no_key() {
    let sealed = seal(b"secret");
    assert_eq!(format!("{:?}", open(&sealed).unwrap()), "Opener { plain_len: 6, position: 0, .. }");
}

#[derive(Debug, Clone)]
enum Step {
    Read(usize),
    FillAndConsume(usize),
    NextChunk,
    Start(u64),
    Current(i64),
    End(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let far = 4 * C as i64;
    prop_oneof![
        (0..2 * C).prop_map(Step::Read),
        (0..2 * C).prop_map(Step::FillAndConsume),
        Just(Step::NextChunk),
        (0..far as u64).prop_map(Step::Start),
        (-far..far).prop_map(Step::Current),
        (-far..C as i64).prop_map(Step::End),
    ]
}

/// Does a step to both, and says what each has read or where it came to.
fn apply(step: &Step, opener: &mut Opener<Cursor<&[u8]>>, model: &mut Cursor<&[u8]>) {
    let seek = match step {
        Step::Read(len) => {
            let (mut got, mut want) = (Vec::new(), Vec::new());
            opener.take(*len as u64).read_to_end(&mut got).unwrap();
            model.take(*len as u64).read_to_end(&mut want).unwrap();
            assert!(got == want);
            return;
        }
        Step::FillAndConsume(len) => {
            let got = opener.fill_buf().unwrap();
            let want = model.fill_buf().unwrap();
            assert!(want.starts_with(got) && got.is_empty() == want.is_empty());
            let used = got.len().min(*len);
            opener.consume(used);
            model.consume(used);
            return;
        }
        Step::NextChunk => {
            let got = opener.next_chunk().unwrap().unwrap_or_default();
            let want = model.fill_buf().unwrap();
            assert!(want.starts_with(got) && got.is_empty() == want.is_empty());
            let used = got.len();
            model.consume(used);
            return;
        }
        Step::Start(to) => SeekFrom::Start(*to),
        Step::Current(by) => SeekFrom::Current(*by),
        Step::End(by) => SeekFrom::End(*by),
    };
    assert_eq!(opener.seek(seek).ok(), model.seek(seek).ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_size_comes_back(len in 0..4 * C) {
        let plain = original(len);
        let (read, error) = read_all(&seal(&plain));
        prop_assert!(error.is_none() && read == plain);
    }

    #[test]
    fn reading_and_seeking_is_as_on_the_plaintext(
        len in prop_oneof![0..4 * C, Just(C), Just(2 * C), Just(0_usize)],
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let plain = original(len);
        let sealed = seal(&plain);
        let mut opener = open(&sealed).unwrap();
        let mut model = Cursor::new(plain.as_slice());
        for step in &steps {
            apply(step, &mut opener, &mut model);
            prop_assert_eq!(opener.stream_position().unwrap(), model.position());
        }
    }

    #[test]
    fn no_bytes_from_elsewhere_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), keep in 0_usize..60) {
        let mut file = seal(&original(30));
        file.truncate(keep);
        file.extend_from_slice(&bytes);
        prop_assert!(open(&file).is_err());
    }
}
