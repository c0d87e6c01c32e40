//! An operation on its way through a lane. It can be run several times: each time from the beginning, in a transaction of which
//! nothing else is left.

use tokio::sync::oneshot;

use crate::{Connection, StoreError};

/// An operation of whichever kind.
pub(super) trait Job: Send {
    /// Does the work inside the transaction; whether it is to stay.
    fn run(&mut self, connection: &Connection<'_>) -> bool;
    /// Answers, once the transaction is committed or has failed.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
    /// Answers that it is not known whether it was done. What follows a commit is kept for [`Job::finish`].
    fn give_up(&mut self, error: StoreError);
}

pub(super) struct Operation<W, N, T, E> {
    work: W,
    then: N,
    result: Option<Result<T, E>>,
    /// Nothing once it is answered.
    answer: Option<oneshot::Sender<Result<T, E>>>,
}

impl<W, N, T, E> Operation<W, N, T, E> {
    pub(super) fn new(work: W, then: N) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, answered) = oneshot::channel();
        (Self { work, then, result: None, answer: Some(answer) }, answered)
    }
}

impl<W, N, T, E> Job for Operation<W, N, T, E>
where
    W: FnOnce(&Connection<'_>) -> Result<T, E> + Clone + Send,
    N: FnOnce(&mut T) + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, connection: &Connection<'_>) -> bool {
        let result = self.work.clone()(connection);
        let stays = result.is_ok();
        self.result = Some(result);
        stays
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (self.result, committed) {
            (Some(Ok(mut value)), Ok(())) => {
                (self.then)(&mut value);
                Ok(value)
            }
            (_, Err(error)) => Err(error.into()),
            (Some(Err(error)), Ok(())) => Err(error),
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        if let Some(answer) = self.answer {
            // The asker may have gone away; its operation stands.
            drop(answer.send(result));
        }
    }

    fn give_up(&mut self, error: StoreError) {
        if let Some(answer) = self.answer.take() {
            drop(answer.send(Err(error.into())));
        }
    }
}
