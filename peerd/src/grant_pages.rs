//! Reading from the directory, page by page, which grants it knows.

use dos_protocol::{
    ImageNo, PeerId, WireError,
    directory::{Answer, Op},
    model::Grant,
};

use crate::directory::{Directory, unexpected};

/// The grants that this peer has given and received, as the directory knows them, page by page.
#[derive(Debug)]
pub(crate) struct GrantPages {
    after: Option<(ImageNo, PeerId)>,
    image: Option<ImageNo>,
    done: bool,
}

impl GrantPages {
    /// All of them.
    pub(crate) fn all() -> Self {
        Self { after: None, image: None, done: false }
    }

    /// Those to one image of one's own.
    pub(crate) fn of(image: ImageNo) -> Self {
        let before = ImageNo(image.0.saturating_sub(1));
        let after = last_peer().map(|last| (before, last));
        Self { after, image: Some(image), done: false }
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// If the directory cannot be asked.
    pub(crate) async fn next(&mut self, directory: &dyn Directory) -> Result<Option<Vec<Grant>>, WireError> {
        if self.done {
            return Ok(None);
        }
        match directory.request_again(Op::Grants { after: self.after }).await? {
            Answer::Grants { mut grants, more } => {
                self.after = grants.last().map(|grant| (grant.image, grant.viewer));
                let beyond = |grant: &Grant| self.image.is_some_and(|image| grant.image > image);
                self.done = !more || self.after.is_none() || grants.last().is_some_and(beyond);
                grants.retain(|grant| self.image.is_none_or(|image| grant.image == image));
                Ok(Some(grants))
            }
            _ => Err(unexpected()),
        }
    }
}

/// The last ID that there can be.
fn last_peer() -> Option<PeerId> {
    (0..PeerId::COUNT).rev().find_map(PeerId::from_number)
}
