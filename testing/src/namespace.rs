//! Sockets of a test in a network namespace that it has made.

use std::{fs::File, os::fd::AsFd, path::Path, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Runs `work` in the network namespace of this name (`ip netns`), on a thread of its own. Sockets that it makes stay there, and
/// so do the threads that it starts.
///
/// # Panics
/// If there is no such namespace, or `work` panics.
pub fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let enter = || {
        let namespace = File::open(Path::new("/run/netns").join(namespace))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok::<_, std::io::Error>(())
    };
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            let entered = enter();
            assert!(entered.is_ok(), "cannot enter the namespace: {entered:?}");
            work()
        });
        run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
