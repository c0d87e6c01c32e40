//! A network, and the ways to a peer, as people read them.

use dos_protocol::control::{Advice, BadWay, Explained, How, Means, Netcheck, Tried};

use super::or_nothing;
use crate::output::{
    Text,
    table::Table,
    words::{millis, nat, peer},
};

/// Of `netcheck`.
pub(crate) fn netcheck(text: &mut Text, check: &Netcheck) {
    let directory = match (check.directory, check.round_trip_us) {
        (Some(address), Some(micros)) => format!("{address}, {:.3} ms", millis(micros)),
        (address, _) => or_nothing(address),
    };
    text.line(&format!("state      {}", check.state.as_str()));
    text.line(&format!("directory  {directory}"));
    text.line(&format!("listen     {}", check.listen));
    let announced: Vec<String> = check.announced.iter().map(ToString::to_string).collect();
    let announced = if announced.is_empty() { or_nothing(None::<String>) } else { announced.join(", ") };
    text.line(&format!("announced  {announced}"));
    text.line(&format!("session    {}, seen as {}", or_nothing(check.local), or_nothing(check.seen)));
    if let Some(nat) = nat(check) {
        text.line(&format!("router     {}", router(nat)));
    }
    match (check.mapped, &check.mapping_trouble) {
        (Some(address), _) => text.line(&format!("mapping    {address}, forwarded by the router")),
        (None, Some(trouble)) => text.line(&format!("mapping    none: {trouble}")),
        (None, None) => {}
    }
    if let Some(address) = check.pinhole {
        text.line(&format!("pinhole    {address}, let through by the router"));
    }
    advise(text, &check.advice, check);
}

fn router(nat: &str) -> &'static str {
    match nat {
        "none" => "none: the directory sees this host's own address",
        "kept" => "it keeps the port: most others get through by a rendezvous",
        _ => "it takes other ports: those behind routers get through only by the relay",
    }
}

/// Of `ping --explain`.
pub(crate) fn explained(text: &mut Text, explained: &Explained) {
    let who = peer(explained.name.as_ref(), explained.id);
    match explained.round_trip_us {
        Some(micros) => text.line(&format!("{who} answers in {:.3} ms", millis(micros))),
        None if explained.online => text.line(&format!("{who} is online, and no way leads there")),
        None => text.line(&format!("{who} is offline")),
    }
    if !explained.tried.is_empty() {
        let mut table = Table::new(&["WAY", "ADDRESS", ">TOOK", "OUTCOME"]);
        for tried in &explained.tried {
            let way = tried.means.map_or("unknown", Means::as_str);
            let took = format!("{:.1} ms", millis(tried.took_us));
            table.row(vec![way.into(), or_nothing(tried.address), took, outcome(tried)]);
        }
        table.show(text);
    }
    advise(text, &explained.advice, &explained.here);
}

fn outcome(tried: &Tried) -> String {
    let outcome = came_of(tried);
    match &tried.bad {
        Some(BadWay { why, left_s }) => format!("{outcome}; left out for {} s more: {why}", left_s),
        None => outcome,
    }
}

fn came_of(tried: &Tried) -> String {
    match (&tried.error, tried.how) {
        (Some(error), _) => error.to_string(),
        (None, Some(How::Punched)) => "leads there: hole punched".into(),
        (None, Some(How::CalledBack)) => "leads there: it called back".into(),
        (None, _) => "leads there".into(),
    }
}

fn advise(text: &mut Text, advice: &[Advice], here: &Netcheck) {
    for one in advice {
        if let Some(line) = words(*one, here) {
            text.line(&format!("hint: {line}"));
        }
    }
}

fn words(advice: Advice, here: &Netcheck) -> Option<String> {
    let port = here.listen.0.port();
    let forward = format!(
        "forward a TCP port of your router to {port} of this host, and start peerd with --listen '[::]:{port}' --advertise OUTSIDE:PORT"
    );
    Some(match advice {
        Advice::GoOnline => "dosctl login".into(),
        Advice::WaitForPeer => "wait until it is online: dosctl watch".into(),
        Advice::AllowConnections => "start peerd without --reachable false, and others can connect".into(),
        Advice::ForwardPort => {
            format!("your router takes another port for every connection: {forward}")
        }
        Advice::ForwardEither => format!("{forward}; or have the other side do so, one is enough"),
        Advice::UpdateDirectory => "the directory arranges no rendezvous: its operator can update dosd".into(),
        Advice::UpdatePeer => {
            "the other peer takes part in no rendezvous: it can update peerd, or start it without --reachable false".into()
        }
        Advice::OpenFirewall => {
            "where both are in one network: let peerd's port through the firewall of the other host".into()
        }
        Advice::RelayOff => "the directory does not relay: its operator can allow it (--relay on)".into(),
        Advice::Nothing | Advice::Unknown => return None,
    })
}
