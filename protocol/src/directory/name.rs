//! What an operation is called, for logs and metrics.

use super::Op;

impl Op {
    /// Its name as it stands on the wire (serde's `snake_case`): one of a fixed few, and nothing of what is asked.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Register(_) => "register",
            Self::SignIn(_) => "sign_in",
            Self::Recover(_) => "recover",
            Self::SignOut => "sign_out",
            Self::List(_) => "list",
            Self::Resolve(_) => "resolve",
            Self::Contact(_) => "contact",
            Self::Identify(_) => "identify",
            Self::Image(_) => "image",
            Self::Preview(_) => "preview",
            Self::Publish(_) => "publish",
            Self::Remove(_) => "remove",
            Self::Rename { .. } => "rename",
            Self::Share(_) => "share",
            Self::Grant { .. } => "right",
            Self::Spend(_) => "spend",
            Self::Checkin(_) => "checkin",
            Self::Request(_) => "ask",
            Self::Cancel(_) => "cancel",
            Self::Decide(_) => "decide",
            Self::Grants { .. } => "rights",
            Self::Requests { .. } => "asks",
            Self::SetPassword(_) => "set_password",
            Self::Subscribe(_) => "subscribe",
            Self::Send(_) => "send",
            Self::Broadcast(_) => "broadcast",
            Self::Block(_) => "block",
            Self::Unblock(_) => "unblock",
            Self::Blocks => "blocks",
            Self::Relay(_) => "relay",
        }
    }
}
