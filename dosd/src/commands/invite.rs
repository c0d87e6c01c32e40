//! `dosd invite create`, `list` and `revoke`.

use std::path::Path;

use dos_protocol::{
    Code, InviteCode, Timestamp, WireError,
    admin::{FromDosd, Invite, ToDosd},
};
use serde_json::{Value, json};

use super::{Failure, PATIENCE, Screen, ask, ask_list, data_dir, millis, output::List, unexpected};
use crate::{
    admin::{Answers, AskError, INVITE_DRAWS},
    cli::{InviteCommand, InviteCreate, InviteRevoke},
    rules::invites::wants_another_code,
};

pub(super) fn run(command: InviteCommand, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        InviteCommand::Create(options) => create(options, screen),
        InviteCommand::List(ask) => list(&data_dir(ask.place)?, screen),
        InviteCommand::Revoke(options) => revoke(options, screen),
    }
}

fn create(options: InviteCreate, screen: &mut Screen) -> Result<(), Failure> {
    let data_dir = data_dir(options.ask.place)?;
    let expires_ms = options.expires.map(millis);
    let FromDosd::Invited(made) = make(&data_dir, options.uses, expires_ms)? else {
        return Err(unexpected());
    };
    let object = json!({
        "code": made.code.as_str(),
        "link": made.link.to_string(),
        "uses_left": made.uses_left,
        "expires_at": made.expires_at.to_string(),
    });
    screen.show(object, made.code.as_str())?;
    screen.note(&format!("join link: {}\n", made.link));
    Ok(())
}

/// Draws the code here, so that asking again after a lost answer makes no second invite.
pub(super) fn make(data_dir: &Path, uses: u32, expires_ms: Option<u64>) -> Result<FromDosd, Failure> {
    let mut draws = INVITE_DRAWS;
    loop {
        draws -= 1;
        let code =
            InviteCode::generate().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
        let request = ToDosd::CreateInvite { uses, expires_ms, code: Some(code) };
        let ask = || Answers::to(data_dir, &request, Some(PATIENCE))?.next_reply();
        let reply = match ask() {
            Err(AskError::Broken(_)) => ask(),
            reply => reply,
        };
        match reply {
            Err(AskError::Refused(error)) if draws > 0 && wants_another_code(&error) => {}
            reply => return Ok(reply?),
        }
    }
}

const COLUMNS: &[&str] = &["CODE", "STATE", "USES LEFT", "OF", "MADE", "EXPIRES"];

fn list(data_dir: &Path, screen: &mut Screen) -> Result<(), Failure> {
    let mut list = List::new(screen, "invites", COLUMNS);
    ask_list(data_dir, &ToDosd::Invites, PATIENCE, |page| match page {
        FromDosd::Invites(invites) => list.page(invites.iter().map(row).collect()),
        _ => Err(unexpected()),
    })?;
    list.end()
}

fn row(invite: &Invite) -> (Value, Vec<String>) {
    let state = invite.state_at(Timestamp::now());
    let (made, expires) = (invite.created_at.to_string(), invite.expires_at.to_string());
    let object = json!({
        "prefix": invite.prefix,
        "state": state,
        "uses": invite.uses,
        "uses_left": invite.uses_left,
        "created_at": made,
        "expires_at": expires,
    });
    let cells = vec![
        format!("{}...", invite.prefix),
        state.into(),
        invite.uses_left.to_string(),
        invite.uses.to_string(),
        made,
        expires,
    ];
    (object, cells)
}

fn revoke(options: InviteRevoke, screen: &mut Screen) -> Result<(), Failure> {
    // The list shows a beginning with dots behind it.
    let code = options.code.trim_end_matches('.');
    match ask(options.ask.place, &ToDosd::RevokeInvite(code.into()), Some(PATIENCE))? {
        FromDosd::Done => screen.show(json!({ "revoked": true }), "revoked"),
        _ => Err(unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use dos_protocol::{
        JoinLink, PublicKey,
        admin::{Invited, SOCKET_NAME},
        frame,
    };

    use super::*;

    /// Reads one request and hangs up, unless there is an answer.
    fn serve(listener: &UnixListener, answer: impl FnOnce(InviteCode) -> Option<FromDosd>) -> InviteCode {
        let (mut stream, _) = listener.accept().unwrap();
        let body = frame::read_blocking(&mut stream).unwrap().unwrap();
        let ToDosd::CreateInvite { code: Some(code), .. } = frame::decode(&body).unwrap() else {
            panic!("another request")
        };
        if let Some(answer) = answer(code.clone()) {
            std::io::Write::write_all(&mut stream, &frame::to_frame(&answer).unwrap()).unwrap();
        }
        code
    }

    fn invited(code: InviteCode) -> FromDosd {
        let link = JoinLink {
            key: PublicKey::from([1; 32]),
            host: "localhost".into(),
            port: 5000,
            others: Vec::new(),
            invite: None,
            invitation: None,
        };
        FromDosd::Invited(Invited { code, link, uses_left: 1, expires_at: Timestamp(5) })
    }

    #[test]
    fn a_broken_connection_is_tried_once_more_with_the_same_code() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap();
        let server = std::thread::spawn(move || {
            let first = serve(&listener, |_| None);
            (first, serve(&listener, |code| Some(invited(code))))
        });
        let Ok(FromDosd::Invited(made)) = make(dir.path(), 1, None) else { panic!("no invite") };
        let (first, second) = server.join().unwrap();
        assert!(first == second && second == made.code);
    }

    #[test]
    fn a_code_that_begins_like_another_one_is_drawn_anew() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap();
        let server = std::thread::spawn(move || {
            let taken = WireError::new(Code::Conflict, "another invite begins like this one");
            let first = serve(&listener, |_| Some(FromDosd::Failed(taken)));
            (first, serve(&listener, |code| Some(invited(code))))
        });
        assert!(make(dir.path(), 1, None).is_ok());
        let (first, second) = server.join().unwrap();
        assert!(first != second);
    }
}
