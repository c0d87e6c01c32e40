//! Whose process this is, and who else is trusted with what is its user's: root.

use rustix::process::geteuid;

/// The user of this process.
#[must_use]
pub fn own() -> u32 {
    geteuid().as_raw()
}

/// Whether what belongs to this user is as good as one's own: it is, or it is root's, which could do everything anyway.
#[must_use]
pub fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == own()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_user_and_root_are_trusted_and_no_one_else() {
        assert!(is_trusted(own()) && is_trusted(0));
        assert!(!is_trusted(own().wrapping_add(1).max(1)));
    }
}
