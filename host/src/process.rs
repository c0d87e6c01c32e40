//! What the process keeps from others of the same machine: its memory. Keys and passwords are in it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Lets no other process of the same user read this one's memory, and lets the system write none of it down when it crashes
/// (`PR_SET_DUMPABLE` in prctl(2)). Root still can. To be called before there is a secret.
///
/// A system that does not allow it (a seccomp filter) makes the program no less useful: nothing fails.
pub fn conceal() {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).unwrap_or_default();
}

/// As [`conceal`], for a daemon: without a core file whatever starts it has allowed, also of what it would start itself.
pub fn conceal_daemon() {
    conceal();
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).unwrap_or_default();
}
