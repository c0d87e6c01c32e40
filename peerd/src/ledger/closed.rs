//! Telling the directory which views are over, so that their IDs get its share no more.
//!
//! What always holds: a closed view is kept until the directory has answered. No view waits for this.

use dos_protocol::{Code, WireError, directory::Op};

use super::Ledger;

/// Reports every closed view that the directory does not know as such, in as few requests as it takes.
///
/// # Errors
/// If the directory cannot be asked; what is not reported is reported later.
pub(crate) async fn report_closed(ledger: &Ledger) -> Result<(), WireError> {
    loop {
        let views = ledger.cache.store.closed_views().await?;
        if views.is_empty() {
            return Ok(());
        }
        match ledger.directory.request_again(Op::CloseViews(views.clone())).await {
            Ok(_) => {}
            // A directory of the first release answers a view ID as long as the grant lives.
            Err(error) if error.code == Code::Unsupported => {}
            Err(error) => return Err(error),
        }
        ledger.cache.store.forget_closed(views).await?;
    }
}
