//! Several pieces of work at once, each with a connection of its own to peerd: as many as keep a long path or the processors busy, while
//! what comes of them is shown in their order.
//!
//! What always holds: at most as many as wanted are in flight. Work whose effects must come in order waits for its turn ([`Turn`]), which
//! comes when all before it has ended. When the caller wants no more outcomes, nothing further is begun, and no turn comes but one that has
//! come already; what is in flight ends with the process, and peerd keeps what it has accepted of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use dos_protocol::{Code, WireError};

use crate::{
    context::Context,
    error::{Error, cause_of},
    progress::Meter,
};

/// Fetches in flight: enough that small copies follow each other without a pause on a path of 200 ms there and back, and three quarters of what peerd
/// receives at once by default, so that somebody who views another picture meanwhile need not wait.
pub(crate) const FETCHES: usize = 12;

/// Reports that wait for the one who shows them.
const REPORTS_MAX: usize = 64;

/// How far one piece of work is: bytes that are done, and that there are.
pub(crate) type Done = (u64, u64);

/// What a piece of work reports, by its number.
enum Report<T> {
    Progress(usize, Done),
    Ended(usize, T),
}

/// How far everything is that has begun.
#[derive(Default)]
struct Sum(BTreeMap<usize, Done>);

impl Sum {
    fn with(&mut self, number: usize, done: Done) -> Done {
        self.0.insert(number, done);
        let add =
            |(done, total): Done, (more, of): &Done| (done.saturating_add(*more), total.saturating_add(*of));
        self.0.values().fold((0, 0), add)
    }
}

/// Which of the work has ended.
#[derive(Default)]
struct Ended(Mutex<Order>, Condvar);

#[derive(Default)]
struct Order {
    /// All before this one have.
    first_open: usize,
    /// Later ones that have.
    later: BTreeSet<usize>,
}

impl Order {
    fn end(&mut self, number: usize) {
        self.later.insert(number);
        while self.later.remove(&self.first_open) {
            self.first_open += 1;
        }
    }
}

impl Ended {
    fn end(&self, number: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).end(number);
        self.1.notify_all();
    }
}

/// Ends work that has panicked: others would wait for their turn for ever.
struct EndedByPanic<'a>(&'a Ended, usize);

impl Drop for EndedByPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(self.1);
        }
    }
}

/// The place of a piece of work among the others.
pub(crate) struct Turn<'a>(&'a Ended, usize);

impl Turn<'_> {
    /// Returns when everything before it has ended.
    pub(crate) fn wait(&self) {
        let order = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let come = self.0.1.wait_while(order, |order| order.first_open < self.1);
        drop(come.unwrap_or_else(PoisonError::into_inner));
    }
}

/// What is to be done.
pub(crate) struct Work<J> {
    pub(crate) jobs: Vec<J>,
    /// How many at once.
    pub(crate) at_once: usize,
    /// For people.
    pub(crate) step: &'static str,
    /// All bytes, where they are known before.
    pub(crate) bytes: Option<u64>,
}

/// Does each job with `work`, and gives `show` what comes of each, with its number, in their order; that says whether to go on. `work` gets
/// a context that reports no progress: what it reports of its own is shown for all of them together.
///
/// # Errors
/// What `show` returns; that there are no threads.
pub(crate) fn in_order<J, T>(
    Work { jobs, at_once, step, bytes }: Work<J>,
    context: &Context,
    work: impl Fn(&J, &Context, (&Turn<'_>, &mut dyn FnMut(Done))) -> T + Clone + Send + 'static,
    mut show: impl FnMut(usize, T) -> Result<bool, Error>,
) -> Result<(), Error>
where
    J: Send + Sync + 'static,
    T: Send + 'static,
{
    let (count, jobs) = (jobs.len(), Arc::new(jobs));
    let state = Arc::new((AtomicUsize::new(0), Ended::default()));
    let (reports, reported) = sync_channel(REPORTS_MAX);
    for _ in 0..at_once.min(count) {
        let (jobs, state, reports, work) =
            (Arc::clone(&jobs), Arc::clone(&state), reports.clone(), work.clone());
        let context = context.reporting_nothing();
        let worker = move || do_jobs(&jobs, &state, &reports, |job, ends| work(job, &context, ends));
        thread::Builder::new().name(step.into()).spawn(worker).map_err(|error| no_threads(&error))?;
    }
    drop(reports);
    let mut meter = Meter::new(context.reporting);
    let (mut sum, mut ended, mut shown) = (Sum::default(), BTreeMap::new(), 0);
    while let Ok(report) = reported.recv() {
        match report {
            Report::Progress(number, done) => {
                let (done, total) = sum.with(number, done);
                meter.show(step, done, bytes.unwrap_or(total));
            }
            Report::Ended(number, outcome) => drop(ended.insert(number, outcome)),
        }
        while let Some(outcome) = ended.remove(&shown) {
            // A line goes where the bar is.
            meter.clear();
            if !show(shown, outcome)? {
                return Ok(());
            }
            shown += 1;
        }
    }
    if shown == count { Ok(()) } else { Err(WireError::new(Code::Internal, "the work was cut off").into()) }
}

fn no_threads(error: &std::io::Error) -> WireError {
    WireError::new(Code::Internal, "cannot do several things at once").caused_by(cause_of(error))
}

/// Does one job after the other until there are no more or nobody wants what comes of them.
fn do_jobs<J, T>(
    jobs: &[J],
    (next, ended): &(AtomicUsize, Ended),
    reports: &SyncSender<Report<T>>,
    work: impl Fn(&J, (&Turn<'_>, &mut dyn FnMut(Done))) -> T,
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(job) = jobs.get(number) else { return };
        let mut report = |done| {
            // If nobody takes it, the end is not taken either.
            reports.send(Report::Progress(number, done)).unwrap_or_default();
        };
        let guard = EndedByPanic(ended, number);
        let outcome = work(job, (&Turn(ended, number), &mut report));
        drop(guard);
        if reports.send(Report::Ended(number, outcome)).is_err() {
            return;
        }
        ended.end(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_everything_are_added_up() {
        let mut sum = Sum::default();
        assert_eq!(sum.with(0, (10, 100)), (10, 100));
        assert_eq!(sum.with(7, (5, 50)), (15, 150));
        assert_eq!(sum.with(0, (90, 100)), (95, 150));
        assert_eq!(sum.with(1, (u64::MAX, u64::MAX)), (u64::MAX, u64::MAX));
    }

    #[test]
    fn every_job_is_done_once_by_whoever_is_free() {
        let (jobs, state) = ((0..100).collect::<Vec<usize>>(), <(AtomicUsize, Ended)>::default());
        let (reports, reported) = sync_channel(1000);
        thread::scope(|scope| {
            for _ in 0..4 {
                let reports = reports.clone();
                let (jobs, state) = (&jobs, &state);
                scope.spawn(move || do_jobs(jobs, state, &reports, |job, _| job * 2));
            }
        });
        drop(reports);
        let mut outcomes: Vec<(usize, usize)> = reported
            .iter()
            .map(|report| match report {
                Report::Ended(number, outcome) => (number, outcome),
                Report::Progress(..) => panic!("nothing was reported"),
            })
            .collect();
        outcomes.sort_unstable();
        assert_eq!(outcomes, (0..100).map(|number| (number, number * 2)).collect::<Vec<_>>());
    }

    #[test]
    fn a_turn_comes_when_everything_before_has_ended() {
        let (jobs, state) = ((0..50).collect::<Vec<usize>>(), <(AtomicUsize, Ended)>::default());
        let (reports, _reported) = sync_channel(1000);
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                let (reports, jobs, state, order) = (reports.clone(), &jobs, &state, &order);
                scope.spawn(move || {
                    do_jobs(jobs, state, &reports, |job, (turn, _)| {
                        // Every third fails before its turn, some are slow.
                        if job % 3 == 0 {
                            return;
                        }
                        (0..job * 7919 % 13 * 10).for_each(|_| thread::yield_now());
                        turn.wait();
                        order.lock().unwrap().push(*job);
                    });
                });
            }
        });
        let wanted: Vec<usize> = (0..50).filter(|job| job % 3 != 0).collect();
        assert_eq!(*order.lock().unwrap(), wanted);
    }

    #[test]
    fn nobody_waits_for_work_that_has_panicked() {
        let state = Arc::new(<(AtomicUsize, Ended)>::default());
        let (reports, reported) = sync_channel(1000);
        for _ in 0..2 {
            let (state, reports) = (Arc::clone(&state), reports.clone());
            thread::spawn(move || {
                do_jobs(&[0, 1], &state, &reports, |job, (turn, _)| {
                    assert!(*job > 0, "this one fails");
                    turn.wait();
                });
            });
        }
        let ended = reported.recv_timeout(dos_testing::PATIENCE);
        assert!(matches!(ended, Ok(Report::Ended(1, ()))));
    }
}
