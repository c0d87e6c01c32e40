//! `dosd ping`: the round trip to peers' daemons.

use dos_protocol::{
    Code, WireError,
    admin::{FromDosd, PingResult, Pinged, ToDosd},
    limits::PING_TIME_MAX,
};
use serde_json::{Value, json};

use super::{
    Failure, PATIENCE, Screen, count_of, data_dir,
    output::{List, or_dash, or_null},
    unexpected, whom,
};
use crate::{admin::Answers, cli::Ping};

const COLUMNS: &[&str] = &["ID", "NAME", "STATE", "MIN", "AVERAGE"];

pub(super) fn run(options: Ping, screen: &mut Screen) -> Result<(), Failure> {
    let request = ToDosd::Ping { whom: whom(options.target), count: options.count };
    let patience = PING_TIME_MAX * options.count + PATIENCE;
    let mut answers = Answers::to(&data_dir(options.ask.place)?, &request, Some(patience))?;
    let mut list = List::new(screen, "peers", COLUMNS);
    let mut lost = 0;
    loop {
        match answers.next_reply()? {
            FromDosd::Done => break,
            FromDosd::Pinged(peers) => {
                lost += peers.iter().map(|peer| u64::from(peer.result == PingResult::Timeout)).sum::<u64>();
                list.page(peers.iter().map(row).collect())?;
            }
            _ => return Err(unexpected()),
        }
    }
    list.end()?;
    if lost > 0 {
        let seconds = PING_TIME_MAX.as_secs();
        let why = format!("{} did not answer within {seconds} s", count_of(lost, "peer"));
        return Err(WireError::new(Code::Timeout, why).into());
    }
    Ok(())
}

fn row(peer: &Pinged) -> (Value, Vec<String>) {
    let (state, times) = match peer.result {
        PingResult::Answered { min_us, avg_us } => ("answered", Some((min_us, avg_us))),
        PingResult::Timeout => ("timeout", None),
        PingResult::Offline => ("offline", None),
    };
    let [min, avg] = [times.map(|(min, _)| min), times.map(|(_, avg)| avg)].map(|us| us.map(Micros));
    let object = json!({
        "id": peer.id.to_string(),
        "name": or_null(peer.name.as_ref()),
        "state": state,
        "min_ms": min.map(Micros::as_millis),
        "avg_ms": avg.map(Micros::as_millis),
    });
    let shown = |time: Option<Micros>| or_dash(time.map(Micros::shown));
    let cells = vec![peer.id.to_string(), or_dash(peer.name.as_ref()), state.into(), shown(min), shown(avg)];
    (object, cells)
}

/// A round trip in microseconds.
#[derive(Clone, Copy)]
struct Micros(u64);

impl Micros {
    /// With three decimals, exactly.
    fn as_millis(self) -> f64 {
        u32::try_from(self.0).map_or(f64::from(u32::MAX), f64::from) / 1000.0
    }

    fn shown(self) -> String {
        format!("{}.{:03} ms", self.0 / 1000, self.0 % 1000)
    }
}
