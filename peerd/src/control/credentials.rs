//! Who may command this daemon: its own user, and root.

use std::sync::OnceLock;

use tokio::net::UnixStream;

/// Whether the user with this ID may.
pub(super) fn may_command(uid: u32) -> bool {
    uid == 0 || own_uid() == Some(uid)
}

/// The user of this process: what the other end of a socket of one's own says.
fn own_uid() -> Option<u32> {
    static UID: OnceLock<Option<u32>> = OnceLock::new();
    *UID.get_or_init(|| {
        let (near, _far) = UnixStream::pair().ok()?;
        near.peer_cred().ok().map(|own| own.uid())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_own_user_and_root_may_and_nobody_else() {
        let own = own_uid().unwrap();
        assert!(may_command(own) && may_command(0));
        assert!(!may_command(own.wrapping_add(1).max(1)));
    }
}
