//! The real program against a peerd that follows a script: exit codes, streams, files and signals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;
mod messages;

mod add;
mod answers;
mod failures;
mod growth;
mod password;
mod progress;
mod terminal;
mod view;
mod watch;
