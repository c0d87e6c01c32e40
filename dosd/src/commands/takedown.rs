//! `dosd takedown`: removes an image with every grant for it.

use dos_protocol::{
    Code, WireError,
    admin::{FromDosd, ToDosd},
};
use serde_json::json;

use super::{Failure, PATIENCE, Screen, ask, count_of, unexpected};
use crate::cli::Takedown;

pub(super) fn run(options: Takedown, screen: &mut Screen) -> Result<(), Failure> {
    let Some(owner) = options.image.owner else {
        let error = WireError::new(Code::Usage, format!("whose image is {}?", options.image.name));
        return Err(error.hint("dosd takedown OWNER/NAME").into());
    };
    let reason = options.reason.map(Into::into);
    let request = ToDosd::TakeDown { owner, name: options.image.name, reason };
    match ask(options.ask.place, &request, Some(PATIENCE))? {
        FromDosd::TakenDown { owner, name, grants } => {
            let image = format!("{owner}/{name}");
            let object = json!({ "image": image, "grants": grants });
            screen.show(object, &format!("took down {image} with {}", count_of(grants, "grant")))
        }
        _ => Err(unexpected()),
    }
}
