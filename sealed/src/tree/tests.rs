//! What blocks and their list promise: every damage is found, and the root is the hash of the file.

use proptest::prelude::*;

use super::*;

const B: usize = BLOCK_BYTES;

fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(b"file").finalize_xof().fill(&mut bytes);
    bytes
}

fn list(file: &[u8]) -> BlockList {
    hash_file(file).unwrap().1
}

/// A reader gives less than asked for whenever it likes.
struct Halting<'a>(&'a [u8]);

impl Read for Halting<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let end = out.len().min(1000);
        self.0.read(&mut out[..end])
    }
}

#[test]
fn the_root_is_the_standard_hash_and_every_block_verifies() {
    let sizes =
        [0, 1, 1023, 1024, 1025, B - 1, B, B + 1, 2 * B - 1, 2 * B, 2 * B + 1, 3 * B, 4 * B, 4 * B + 1];
    for len in sizes.into_iter().chain([5 * B + B / 2, 7 * B, 8 * B, 9 * B + 1024, 13 * B + 77]) {
        let file = bytes(len);
        let (root, list) = hash_file(file.as_slice()).unwrap();
        assert_eq!(root, *blake3::hash(&file).as_bytes(), "{len}");
        assert_eq!((list.root(), list.total_len()), (&root, len as u64));
        assert_eq!(list.len(), len.div_ceil(B));
        assert_eq!(list.is_empty(), len == 0);
        for (index, block) in file.chunks(B).enumerate() {
            assert_eq!(list.block_len(index), Some(block.len()));
            list.verify(index, block).unwrap();
        }
        assert_eq!(list.block_len(list.len()), None);
        assert!(matches!(list.verify(list.len(), &[]), Err(TreeError::NoSuchBlock { .. })));
        assert_eq!(BlockList::from_bytes(len as u64, &list.to_bytes(), &root).unwrap(), list);
    }
}

#[test]
fn the_halves_of_a_tree_are_those_of_blake3() {
    for blocks in 2..200 {
        let left = blake3::hazmat::left_subtree_len((blocks * B) as u64);
        assert_eq!((left_subtree_blocks(blocks) * B) as u64, left, "{blocks}");
    }
}

#[test]
fn pieces_of_any_size_give_the_same_list() {
    let file = bytes(3 * B + 4321);
    let whole = list(&file);
    for step in [1023, 65_552, B - 1, B, B + 1, 2 * B] {
        let mut hasher = BlockHasher::new();
        for piece in file.chunks(step) {
            hasher.update(piece).unwrap();
        }
        assert_eq!(hasher.total_len(), file.len() as u64);
        assert_eq!(hasher.finish(), whole, "{step}");
    }
    assert_eq!(hash_file(Halting(&file)).unwrap().1, whole);
}

#[test]
fn a_damaged_block_is_found_by_its_index_alone() {
    for len in [100, B, 5 * B + 9] {
        let file = bytes(len);
        let list = list(&file);
        for damaged in 0..list.len() {
            let mut file = file.clone();
            let last = file.chunks(B).nth(damaged).unwrap().len() - 1;
            file[damaged * B + last] ^= 1;
            for (index, block) in file.chunks(B).enumerate() {
                match list.verify(index, block) {
                    Ok(()) => assert_ne!(index, damaged),
                    Err(TreeError::Block(found)) => assert_eq!((found, index), (damaged, damaged)),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn a_block_counts_only_at_its_place_and_whole() {
    let file = bytes(B).repeat(3);
    let list = list(&file);
    let block = &file[..B];
    let twin = hash_file([bytes(B), vec![0; B]].concat().as_slice()).unwrap().1;
    twin.verify(0, block).unwrap();
    assert!(matches!(twin.verify(1, block), Err(TreeError::Block(1))));
    assert!(matches!(
        list.verify(1, &block[..B - 1]),
        Err(TreeError::BlockLength { index: 1, expected: BLOCK_BYTES, found }) if found == B - 1
    ));
    assert!(matches!(list.verify(2, &file[..B + 1]), Err(TreeError::BlockLength { index: 2, .. })));
    assert!(matches!(list.verify(0, &[]), Err(TreeError::BlockLength { .. })));
}

#[test]
fn a_list_that_is_not_that_of_the_file_is_refused() {
    for len in [1, B, 2 * B, 5 * B + 3] {
        let file = bytes(len);
        let list = list(&file);
        let (total, good, root) = (len as u64, list.to_bytes(), *list.root());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x80;
            assert!(matches!(BlockList::from_bytes(total, &bad, &root), Err(TreeError::Root)), "byte {at}");
        }
        let short = &good[..good.len() - 1];
        let long = [good.as_slice(), &[0; HASH_BYTES]].concat();
        for bad in [short, &good[..good.len() - HASH_BYTES], &long, &long[..good.len() + 1], &[]] {
            assert!(matches!(BlockList::from_bytes(total, bad, &root), Err(TreeError::ListLength { .. })));
        }
        assert!(matches!(BlockList::from_bytes(total, &good, &[0; 32]), Err(TreeError::Root)));
        assert!(BlockList::from_bytes(total + B as u64, &good, &root).is_err());
    }
    let mut swapped = list(&bytes(3 * B)).to_bytes();
    swapped.rotate_left(HASH_BYTES);
    assert!(matches!(
        BlockList::from_bytes(3 * B as u64, &swapped, &hash_file(bytes(3 * B).as_slice()).unwrap().0),
        Err(TreeError::Root)
    ));
}

#[test]
fn an_empty_file_has_an_empty_list_and_its_own_root() {
    let root = *blake3::hash(b"").as_bytes();
    assert!(BlockList::from_bytes(0, &[], &root).unwrap().is_empty());
    assert!(matches!(BlockList::from_bytes(0, &[], &[0; 32]), Err(TreeError::Root)));
    assert!(matches!(BlockList::from_bytes(0, &root, &root), Err(TreeError::ListLength { .. })));
}

#[test]
fn files_over_the_limit_are_refused_by_their_length() {
    for len in [SEALED_BYTES_MAX + 1, u64::MAX] {
        assert!(
            matches!(BlockList::from_bytes(len, &[], &[0; 32]), Err(TreeError::TooLarge(found)) if found == len)
        );
    }
    assert!(matches!(
        BlockList::from_bytes(SEALED_BYTES_MAX, &[], &[0; 32]),
        Err(TreeError::ListLength { expected, .. }) if expected == 512 << 10
    ));
    let mut hasher = BlockHasher { total_len: SEALED_BYTES_MAX - 1, ..BlockHasher::new() };
    assert!(matches!(hasher.update(&[0; 2]), Err(TreeError::TooLarge(_))));
    assert!(hasher.update(&[0]).is_ok());
    assert!(matches!(hasher.update(&[0]), Err(TreeError::TooLarge(_))));
}

#[test]
fn debug_of_a_long_list_is_short() {
    let text = format!("{:?}", list(&bytes(4 * B)));
    assert!(text.starts_with("BlockList { total_len: 4194304, root: Hash("), "{text}");
    assert!(text.ends_with("blocks: 4 }"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_list_from_elsewhere_panics(
        len in prop_oneof![any::<u64>(), 0..(8 * B as u64)],
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        root in any::<[u8; 32]>(),
    ) {
        prop_assert!(BlockList::from_bytes(len, &bytes, &root).is_err());
    }

    #[test]
    fn lists_of_any_count_merge_as_blake3_does(blocks in 1_usize..40, tail in 1..=B) {
        let file = vec![3; (blocks - 1) * B + tail];
        prop_assert_eq!(hash_file(file.as_slice()).unwrap().0, *blake3::hash(&file).as_bytes());
    }
}
