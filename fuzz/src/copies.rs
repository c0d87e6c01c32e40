//! Sealed copies and lists of blocks, as a peer serves them.

use std::io::{Cursor, Read};

use dos_sealed::{BLOCK_BYTES, BlockHasher, BlockList, ContentKey, Opener, Sealer, plain_len_of};

/// A key for what is sealed here.
const KEY: [u8; 32] = [7; 32];

/// A sealed copy of anybody's; and one of ours, of which a byte was changed.
pub fn sealed(bytes: &[u8]) {
    let key = ContentKey::from_bytes(KEY);
    drop(plain_len_of(&mut Cursor::new(bytes)));
    if let Ok(mut opener) = Opener::new(Cursor::new(bytes), &key) {
        while let Ok(Some(chunk)) = opener.next_chunk() {
            assert!(chunk.len() <= dos_sealed::CHUNK_BYTES);
        }
    }
    let Some(([at, change], plain)) = bytes.split_first_chunk() else { return };
    let mut sealer = Sealer::new(Vec::new(), &key).expect("a key seals");
    sealer.push(plain).expect("into memory");
    let (mut copy, _) = sealer.finish().expect("into memory");
    assert_eq!(open(&copy, &key).as_deref(), Some(plain));
    // Anywhere, the header above all.
    let at = usize::from(*at) * copy.len() / 256;
    copy[at] ^= change.max(&1);
    assert_eq!(open(&copy, &key), None, "byte {at} of {} was changed", copy.len());
}

fn open(copy: &[u8], key: &ContentKey) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    Opener::new(Cursor::new(copy), key).ok()?.read_to_end(&mut plain).ok()?;
    Some(plain)
}

/// A list of blocks that a peer sends, for the hash and the length that the directory has told; and one of ours.
pub fn blocks(bytes: &[u8]) {
    let Some((head, list)) = bytes.split_first_chunk::<40>() else { return };
    let (root, length) = head.split_at(32);
    let root: [u8; 32] = root.try_into().expect("32 bytes");
    let length = u64::from_be_bytes(length.try_into().expect("8 bytes"));
    if let Ok(read) = BlockList::from_bytes(length, list, &root) {
        assert_eq!(read.to_bytes(), list);
        // Each block of its length, none of another.
        for index in 0..read.len().min(4) {
            drop(read.verify(index, list));
        }
    }
    let mut hasher = BlockHasher::new();
    // Longer than a block, so that there is a tree.
    let file = list.repeat(BLOCK_BYTES / list.len().max(1) + 1);
    hasher.update(&file).expect("a short file");
    let ours = hasher.finish();
    let again = BlockList::from_bytes(ours.total_len(), &ours.to_bytes(), ours.root());
    let again = again.expect("our list is a list");
    for (index, block) in file.chunks(BLOCK_BYTES).enumerate() {
        again.verify(index, block).expect("our blocks are ours");
    }
}
