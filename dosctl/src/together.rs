//! Several pieces of work at once, each with a connection of its own to peerd: as many as keep a long path filled, while what comes of them
//! is shown in their order.
//!
//! What always holds: at most as many as wanted are in flight. When the caller wants no more outcomes, nothing further is begun; what is in
//! flight ends with the process, and peerd keeps what it has accepted of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
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

/// Fetches in flight: enough that the next copies are asked for while one arrives and another is put on the disk, and half of what peerd
/// receives at once by default, so that somebody who views another picture meanwhile need not wait.
pub(crate) const FETCHES: usize = 8;

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

/// What is to be done.
pub(crate) struct Work<J> {
    pub(crate) jobs: Vec<J>,
    /// How many at once.
    pub(crate) at_once: usize,
    /// For people.
    pub(crate) step: &'static str,
}

/// Does each job with `work`, and gives `show` what comes of each, with its number, in their order. `work` gets a context that reports no
/// progress: what it reports of its own is shown for all of them together.
///
/// # Errors
/// What `show` returns; that there are no threads.
pub(crate) fn in_order<J, T>(
    Work { jobs, at_once, step }: Work<J>,
    context: &Context,
    work: impl Fn(&J, &Context, &mut dyn FnMut(Done)) -> T + Clone + Send + 'static,
    mut show: impl FnMut(usize, T) -> Result<(), Error>,
) -> Result<(), Error>
where
    J: Send + Sync + 'static,
    T: Send + 'static,
{
    let (count, next, jobs) = (jobs.len(), Arc::new(AtomicUsize::new(0)), Arc::new(jobs));
    let (reports, reported) = sync_channel(REPORTS_MAX);
    for _ in 0..at_once.min(count) {
        let (jobs, next, reports, work) =
            (Arc::clone(&jobs), Arc::clone(&next), reports.clone(), work.clone());
        let context = context.reporting_nothing();
        let worker = move || take_turns(&jobs, &next, &reports, |job, report| work(job, &context, report));
        thread::Builder::new().name(step.into()).spawn(worker).map_err(|error| no_threads(&error))?;
    }
    drop(reports);
    let mut meter = Meter::new(context.reporting);
    let (mut sum, mut ended, mut shown) = (Sum::default(), BTreeMap::new(), 0);
    while let Ok(report) = reported.recv() {
        match report {
            Report::Progress(number, done) => {
                let (done, total) = sum.with(number, done);
                meter.show(step, done, total);
            }
            Report::Ended(number, outcome) => drop(ended.insert(number, outcome)),
        }
        while let Some(outcome) = ended.remove(&shown) {
            // A line goes where the bar is.
            meter.clear();
            show(shown, outcome)?;
            shown += 1;
        }
    }
    if shown == count { Ok(()) } else { Err(WireError::new(Code::Internal, "the work was cut off").into()) }
}

fn no_threads(error: &std::io::Error) -> WireError {
    WireError::new(Code::Internal, "cannot do several things at once").caused_by(cause_of(error))
}

/// Does one job after the other until there are no more or nobody wants what comes of them.
fn take_turns<J, T>(
    jobs: &[J],
    next: &AtomicUsize,
    reports: &SyncSender<Report<T>>,
    work: impl Fn(&J, &mut dyn FnMut(Done)) -> T,
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(job) = jobs.get(number) else { return };
        let mut report = |done| {
            // If nobody takes it, the end is not taken either.
            reports.send(Report::Progress(number, done)).unwrap_or_default();
        };
        let outcome = work(job, &mut report);
        if reports.send(Report::Ended(number, outcome)).is_err() {
            return;
        }
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
        let (jobs, next) = ((0..100).collect::<Vec<usize>>(), AtomicUsize::new(0));
        let (reports, reported) = sync_channel(1000);
        thread::scope(|scope| {
            for _ in 0..4 {
                let reports = reports.clone();
                let (jobs, next) = (&jobs, &next);
                scope.spawn(move || take_turns(jobs, next, &reports, |job, _| job * 2));
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
}
