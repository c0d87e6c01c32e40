//! What an operation is called, for logs and metrics.

use super::Op;

impl Op {
    /// Its name as it stands on the wire: one of a fixed few, and nothing of what is asked.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.into()
    }
}
