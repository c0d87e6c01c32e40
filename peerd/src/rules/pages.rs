//! How much of a long list is read and sent at a time.

use dos_protocol::limits::MESSAGES_PAGE_BYTES_MAX;

/// Whether a page that has `count` entries of `bytes` together takes another one. With one more it stays well below a frame.
pub(crate) fn takes_another(count: usize, bytes: usize, count_max: usize) -> bool {
    count < count_max && bytes < MESSAGES_PAGE_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_at_its_number_or_its_bytes() {
        for (count, bytes, another) in [
            (0, 0, true),
            (4, 0, true),
            (5, 0, false),
            (6, 0, false),
            (0, 262_143, true),
            (0, 262_144, false),
            (6, 262_145, false),
        ] {
            assert_eq!(takes_another(count, bytes, 5), another, "{count} {bytes}");
        }
    }
}
