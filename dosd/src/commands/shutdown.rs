//! `dosd shutdown`: ends the server. Without `--in` it returns when the data directory is free.

use dos_protocol::{
    admin::{FromDosd, ToDosd},
    duration::format_duration,
};
use serde_json::json;

use super::{Failure, Screen, count_of, data_dir, millis, unexpected};
use crate::{admin::Answers, cli::Shutdown};

pub(super) fn run(options: Shutdown, screen: &mut Screen) -> Result<(), Failure> {
    let in_ms = options.delay.map(millis);
    let request = ToDosd::Shutdown { in_ms, reason: options.reason.map(Into::into) };
    let mut answers = Answers::to(&data_dir(options.ask.place)?, &request, None)?;
    let FromDosd::Closing(closing) = answers.next_reply()? else { return Err(unexpected()) };
    let object = json!({ "at": closing.at.to_string(), "told": closing.told });
    let peers = count_of(closing.told, "peer");
    let line = match options.delay {
        None => format!("the directory shuts down now; {peers} online"),
        Some(delay) => {
            format!("the directory shuts down in {}, at {}; told {peers}", format_duration(delay), closing.at)
        }
    };
    screen.show(object, &line)?;
    screen.flush()?;
    if options.delay.is_none() {
        answers.wait_for_end();
    }
    Ok(())
}
