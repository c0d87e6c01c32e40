//! What the service manager is told about this process (sd_notify(3)).
//!
//! Does nothing where there is no service manager that listens (`NOTIFY_SOCKET`). What it cannot be told is logged, and
//! nothing else comes of it.

use sd_notify::NotifyState;

/// Whether somebody listens.
#[must_use]
pub fn is_heard() -> bool {
    dos_host::variables::var_os("NOTIFY_SOCKET").is_some()
}

/// The service works: after its start, and after every [`reloading`].
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The service reads its configuration anew; [`ready`] must follow, whatever comes of it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the clock"),
    }
}

/// The service ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How the service stands, in one line for people.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(&one_line(text))]);
}

/// Messages to the service manager are lines: what is only text must not become one.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(crate) fn tell(states: &[NotifyState<'_>]) {
    // An empty variable would be taken for a socket without a name.
    if !is_heard() {
        return;
    }
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_cannot_smuggle_in_another_message() {
        assert_eq!(one_line("offline\nMAINPID=1\r\u{b}"), "offline MAINPID=1  ");
    }
}
