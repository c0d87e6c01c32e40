//! What Patroni tells of the database servers, at its page `/cluster`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A server that is stopped accepts connections, and answers nothing.
const ANSWER_TIME_MAX: &str = "1";

/// A database server as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// `db1` and so on.
    pub(super) name: String,
    /// `leader`, `quorum_standby`, `replica`.
    role: String,
    /// `running`, `streaming`, `stopped` ...
    state: String,
}

impl Member {
    /// Whether it takes writes.
    pub(super) fn is_primary(&self) -> bool {
        self.role == "leader" && self.state == "running"
    }

    /// Whether it takes writes, or may take over from the one that does.
    pub(super) fn takes_part(&self) -> bool {
        self.is_primary() || (self.role == "quorum_standby" && self.state == "streaming")
    }
}

/// All servers, as the one at this address sees them.
pub(super) fn members(address: &str, certificates: &Path) -> Result<Vec<Member>> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--max-time", ANSWER_TIME_MAX, "--cacert"]);
    curl.arg(certificates.join("ca.pem"));
    curl.arg("--cert").arg(certificates.join("db1.pem")).arg("--key").arg(certificates.join("db1.key"));
    let output = curl.arg(format!("https://{address}:8008/cluster")).stdin(Stdio::null()).output();
    let output = output.context("cannot run curl")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    parsed(&output.stdout)
}

fn parsed(document: &[u8]) -> Result<Vec<Member>> {
    let document: Value = serde_json::from_slice(document).context("Patroni's answer is no JSON")?;
    let members = document["members"].as_array().context("Patroni tells of no members")?;
    let text = |member: &Value, key: &str| member[key].as_str().unwrap_or_default().to_owned();
    let one = |member| Member {
        name: text(member, "name"),
        role: text(member, "role"),
        state: text(member, "state"),
    };
    Ok(members.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_part_is_read_from_what_patroni_tells() {
        let document = br#"{"members": [
            {"name": "db1", "role": "leader", "state": "running", "timeline": 1},
            {"name": "db2", "role": "quorum_standby", "state": "streaming", "lag": 0},
            {"name": "db3", "role": "replica", "state": "starting", "lag": "unknown"}], "scope": "dos"}"#;
        let members = parsed(document).unwrap();
        let told: Vec<_> =
            members.iter().map(|one| (&*one.name, one.is_primary(), one.takes_part())).collect();
        assert_eq!(told, [("db1", true, true), ("db2", false, true), ("db3", false, false)]);
    }
}
