//! `dosd serve --check-config`: whether the server would start with these settings. Nothing is opened, made or changed.

use std::error::Error;

use dos_protocol::{Code, WireError};
use serde_json::json;

use super::{Failure, Screen};
use crate::{cli::Serve, config::Config};

pub(super) fn run(options: Box<Serve>, screen: &mut Screen) -> Result<(), Failure> {
    let config = Config::load(options.said, options.config.as_deref()).map_err(|error| {
        let told = WireError::new(Code::Usage, error.to_string());
        error.source().map_or(told.clone(), |cause| told.caused_by(cause.to_string()))
    })?;
    let object = json!({
        "listen": config.listen.to_string(),
        "data_dir": config.data_dir.display().to_string(),
        "store": config.store.map(|store| store.address.to_string()),
        "metrics": config.metrics.map(|address| address.to_string()),
        "log": config.log,
    });
    screen.show(object, "the configuration is good")
}
