//! Which kind of command each one is. A new command does not compile until it says so.

use dos_protocol::control::Command;

/// What becomes of a command when its caller goes away, or the daemon stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It changes nothing and answers once: given up.
    Query,
    /// It answers as it goes: given up.
    Stream,
    /// It changes something that must not be left half done: it runs to its end, and the daemon waits for it.
    Change,
    /// It takes a file from its caller and then is a [`Kind::Change`]; without the whole file it is given up.
    Upload,
}

impl Kind {
    /// Whether the daemon waits for it when it stops.
    #[must_use]
    pub(crate) fn is_durable(self) -> bool {
        matches!(self, Self::Change | Self::Upload)
    }
}

/// The kind of a command.
pub(crate) fn kind(command: &Command) -> Kind {
    match command {
        Command::Status
        | Command::Wait { .. }
        | Command::List(_)
        | Command::Newest { .. }
        | Command::Resolve(_)
        | Command::Preview(_)
        | Command::Shares { .. }
        | Command::Requests { .. }
        | Command::Messages(_)
        | Command::Blocks
        | Command::Ping(_)
        | Command::Explain(_)
        | Command::Netcheck
        | Command::Card
        | Command::Contacts
        | Command::Groups
        | Command::Albums
        | Command::Album { .. }
        | Command::Invites
        | Command::Gallery
        | Command::Inspect(_) => Kind::Query,
        Command::Fetch(_) | Command::View { .. } | Command::Watch { .. } | Command::News { .. } => {
            Kind::Stream
        }
        Command::Register { .. }
        | Command::Recover { .. }
        | Command::SetPassword(_)
        | Command::Login { .. }
        | Command::Logout
        | Command::Name(_)
        | Command::Unregister
        | Command::Server(_)
        | Command::Remove(_)
        | Command::Rename { .. }
        | Command::Share { .. }
        | Command::Request { .. }
        | Command::Cancel(_)
        | Command::Approve { .. }
        | Command::Deny { .. }
        | Command::Checkout { .. }
        | Command::Checkin(_)
        | Command::Send { .. }
        | Command::Broadcast(_)
        | Command::Block(_)
        | Command::Unblock(_)
        | Command::Trust { .. }
        | Command::KeepKey(_)
        | Command::Many(_)
        | Command::Group { .. }
        | Command::Set { .. }
        | Command::Later { .. }
        | Command::Invite(_)
        | Command::RevokeInvite(_)
        | Command::Join(_) => Kind::Change,
        Command::Add { .. } | Command::AddAs { .. } => Kind::Upload,
    }
}
