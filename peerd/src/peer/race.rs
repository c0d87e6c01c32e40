//! Trying several addresses at once (RFC 8305, "Happy Eyeballs"): one after the other, a little apart, until one has led to
//! the peer.
//!
//! And the relay beside them, a little later: whoever has no address that leads there does not wait for the others to fail.
//!
//! What always holds: an address wins only when its whole attempt has succeeded, the handshake with it; those that are
//! still under way then are given up.

use std::{net::IpAddr, pin::pin, time::Duration};

use dos_protocol::{limits::ADDRESS_DELAY, model::Address};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Addresses that failed whose causes are reported.
const CAUSES_MAX: usize = 4;

/// The order in which addresses are tried: `first`, if it is still one of them, then the families in turns, beginning with
/// that of the likeliest (RFC 8305, section 4).
pub(super) fn order(addresses: &[Address], first: Option<Address>) -> Vec<Address> {
    let known = first.filter(|first| addresses.contains(first));
    let others = || addresses.iter().copied().filter(|address| Some(*address) != known);
    let leads_v6 = known.or_else(|| others().next()).is_some_and(|address| address.0.is_ipv6());
    // After the known address it is the other family's turn.
    let begins_v6 = leads_v6 != known.is_some();
    let mut turns = others().filter(|address| address.0.is_ipv6() == begins_v6);
    let mut between = others().filter(|address| address.0.is_ipv6() != begins_v6);
    let mut ordered: Vec<Address> = known.into_iter().collect();
    loop {
        let pair = [turns.next(), between.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// The same with those that are one step away before those for which packets have to leave the house, and come back to it where both sides are in
/// one: many routers let none do that. What has worked stays first.
pub(super) fn near_first(
    mut ordered: Vec<Address>,
    worked: Option<Address>,
    is_near: impl Fn(IpAddr) -> bool,
) -> Vec<Address> {
    ordered.sort_by_key(|address| (Some(*address) != worked, !is_near(address.0.ip())));
    ordered
}

/// Runs `attempt` for each address until one succeeds, for this time at most.
///
/// # Errors
/// What became of the first few, in one line; nothing if there was no address.
pub(super) async fn race<T, F>(
    addresses: &[Address],
    time: Duration,
    attempt: impl Fn(Address) -> F,
) -> Result<(T, Address), Option<String>>
where
    F: Future<Output = Result<T, String>>,
{
    let start = Instant::now();
    // Every address has its turn within the time.
    let turns = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
    let delay = ADDRESS_DELAY.min(time / turns);
    let mut waiting = addresses.iter().copied().peekable();
    let mut under_way = FuturesUnordered::new();
    let mut next = start;
    let mut causes: Vec<String> = Vec::new();
    while waiting.peek().is_some() || !under_way.is_empty() {
        tokio::select! {
            biased;
            Some((address, outcome)) = under_way.next(), if !under_way.is_empty() => match outcome {
                Ok(won) => return Ok((won, address)),
                Err(cause) => {
                    causes.push(format!("{address}: {cause}"));
                    next = Instant::now();
                }
            },
            () = sleep_until(start + time) => {
                causes.push("no answer in time".into());
                break;
            }
            () = sleep_until(next), if waiting.peek().is_some() => {
                if let Some(address) = waiting.next() {
                    let attempt = attempt(address);
                    under_way.push(async move { (address, attempt.await) });
                    next = Instant::now() + delay;
                }
            }
        }
    }
    causes.truncate(CAUSES_MAX);
    Err(Some(causes.join("; ")).filter(|causes| !causes.is_empty()))
}

/// Which of two ways has won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Won<B, O> {
    /// The one that is preferred.
    Better(B),
    /// The other one.
    Other(O),
}

/// When two ways are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handicap {
    /// The other way is tried so long after the better one, or as soon as that has failed.
    pub(super) begins: Duration,
    /// If the other way is up first, the better one has until so long after the beginning.
    pub(super) waits: Duration,
}

/// Tries two ways beside each other; the first that leads there wins, and the one that is still tried is given up.
///
/// # Errors
/// Both causes, if neither does.
pub(super) async fn beside<B, O, BE, OE>(
    better: impl Future<Output = Result<B, BE>>,
    other: impl Future<Output = Result<O, OE>>,
    handicap: Handicap,
) -> Result<Won<B, O>, (BE, OE)> {
    let start = Instant::now();
    let (mut better, mut other) = (pin!(better), pin!(other));
    match timeout_at(start + handicap.begins, &mut better).await {
        Ok(Ok(won)) => return Ok(Won::Better(won)),
        Ok(Err(cause)) => return other.await.map(Won::Other).map_err(|error| (cause, error)),
        Err(_) => {}
    }
    tokio::select! {
        biased;
        outcome = &mut better => match outcome {
            Ok(won) => Ok(Won::Better(won)),
            Err(cause) => other.await.map(Won::Other).map_err(|error| (cause, error)),
        },
        outcome = &mut other => match outcome {
            Ok(won) => match timeout_at(start + handicap.waits, better).await {
                Ok(Ok(better)) => Ok(Won::Better(better)),
                Ok(Err(_)) | Err(_) => Ok(Won::Other(won)),
            },
            Err(error) => better.await.map(Won::Better).map_err(|cause| (cause, error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    const ALL: [&str; 5] = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "[2001:db8::1]:1", "[2001:db8::2]:1"];

    #[test]
    fn families_take_turns_and_what_worked_comes_first() {
        let all = addresses(&ALL);
        let turns = ["10.0.0.1:1", "[2001:db8::1]:1", "10.0.0.2:1", "[2001:db8::2]:1", "10.0.0.3:1"];
        assert_eq!(order(&all, None), addresses(&turns));
        let turns = ["[2001:db8::2]:1", "10.0.0.1:1", "[2001:db8::1]:1", "10.0.0.2:1", "10.0.0.3:1"];
        assert_eq!(order(&all, Some("[2001:db8::2]:1".parse().unwrap())), addresses(&turns));
        assert_eq!(order(&all, Some("10.9.9.9:1".parse().unwrap())), order(&all, None), "it has moved");
        assert_eq!(order(&[], None), []);
    }

    #[test]
    fn what_is_one_step_away_comes_before_what_is_outside() {
        let told = addresses(&["203.0.113.7:1", "10.9.0.2:1", "192.168.1.2:1", "192.168.1.9:1"]);
        let is_near = |ip: IpAddr| ip.to_string().starts_with("192.168.1.");
        let near = ["192.168.1.2:1", "192.168.1.9:1", "203.0.113.7:1", "10.9.0.2:1"];
        assert_eq!(near_first(told.clone(), None, is_near), addresses(&near));
        let worked = ["203.0.113.7:1", "192.168.1.2:1", "192.168.1.9:1", "10.9.0.2:1"];
        assert_eq!(near_first(told.clone(), Some(told[0]), is_near), addresses(&worked));
        assert_eq!(near_first(told.clone(), None, |_| false), told);
    }

    /// Runs a race in which each address takes a given time and then succeeds or fails; returns when each began.
    async fn run(plan: &[(&str, u64, bool)]) -> (Result<String, Option<String>>, Vec<u128>, u128) {
        let (start, begun) = (Instant::now(), Mutex::new(Vec::new()));
        let all = addresses(&plan.iter().map(|(address, ..)| *address).collect::<Vec<_>>());
        let attempt = |address: Address| {
            begun.lock().unwrap().push(start.elapsed().as_millis());
            let planned = plan.iter().find(|(text, ..)| address == text.parse().unwrap());
            let (_, ms, succeeds) = *planned.unwrap();
            async move {
                sleep(Duration::from_millis(ms)).await;
                if succeeds { Ok(()) } else { Err("refused".to_owned()) }
            }
        };
        let outcome = race(&all, Duration::from_secs(3), attempt).await;
        let outcome = outcome.map(|((), address)| address.to_string());
        (outcome, begun.into_inner().unwrap(), start.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_is_tried_after_the_delay_and_the_first_to_succeed_wins() {
        let plan = [(ALL[0], 10_000, true), (ALL[1], 400, true), (ALL[2], 10, true)];
        let (outcome, begun, took) = run(&plan).await;
        assert_eq!((outcome, begun, took), (Ok(ALL[2].into()), vec![0, 250, 500], 510));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_next_is_tried_at_once() {
        let (outcome, begun, _) = run(&[(ALL[0], 20, false), (ALL[1], 20, false), (ALL[2], 5, true)]).await;
        assert_eq!((outcome, begun), (Ok(ALL[2].into()), vec![0, 20, 40]));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_have_failed_nobody_waits_for_the_end_of_the_time() {
        let (outcome, _, took) = run(&[(ALL[0], 20, false), (ALL[1], 30, false)]).await;
        let told = format!("{}: refused; {}: refused", ALL[0], ALL[1]);
        assert_eq!((outcome, took), (Err(Some(told)), 50));
        assert_eq!(run(&[]).await.0, Err(None));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_say_nothing_are_given_up_in_time_and_each_has_had_its_turn() {
        let texts: Vec<String> = (1..=17).map(|last| format!("10.0.0.{last}:1")).collect();
        let plan: Vec<_> = texts.iter().map(|text| (text.as_str(), 60_000, true)).collect();
        let (outcome, begun, took) = run(&plan).await;
        assert_eq!((outcome.is_err(), begun.len(), took), (true, 17, 3000));
    }

    /// Two ways, each of which takes a given time and then succeeds or fails; what came of them, and when.
    async fn both(
        better: (u64, bool),
        other: (u64, bool),
        begins: u64,
    ) -> (Result<Won<(), ()>, ((), ())>, u128) {
        let start = Instant::now();
        let way = |(ms, succeeds): (u64, bool)| async move {
            sleep(Duration::from_millis(ms)).await;
            if succeeds { Ok(()) } else { Err(()) }
        };
        let handicap = Handicap { begins: Duration::from_millis(begins), waits: Duration::from_millis(300) };
        let outcome = beside(way(better), way(other), handicap).await;
        (outcome, start.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn the_other_way_is_tried_beside_the_better_one_and_does_not_wait_for_its_end() {
        let (better, other) = (Won::Better(()), Won::Other(()));
        for (what, ways, begins, expected) in [
            ("in time", ((149, true), (0, true)), 150, (Ok(better), 149)),
            ("nobody answers", ((3000, false), (100, true)), 150, (Ok(other), 300)),
            (
                "nobody answers, and the other way takes its time",
                ((3000, false), (400, true)),
                150,
                (Ok(other), 550),
            ),
            ("refused at once", ((10, false), (100, true)), 150, (Ok(other), 110)),
            ("refused later", ((200, false), (100, true)), 150, (Ok(other), 250)),
            ("up a little later", ((290, true), (20, true)), 150, (Ok(better), 290)),
            ("up too late", ((310, true), (20, true)), 150, (Ok(other), 300)),
            ("needed the last time", ((3000, false), (350, true)), 0, (Ok(other), 350)),
            ("no other way", ((2000, true), (20, false)), 150, (Ok(better), 2000)),
            ("no way", ((3000, false), (20, false)), 150, (Err(((), ())), 3000)),
        ] {
            assert_eq!(both(ways.0, ways.1, begins).await, expected, "{what}");
        }
    }
}
