//! What has happened and how things stand, for all who want to know: events, and the numbers of what waits.
//!
//! What always holds: the numbers are written on the store's writer's thread, right after the commit that they come from, so
//! that an older one never takes the place of a newer one.

use std::sync::atomic::{AtomicU64, Ordering};

use dos_protocol::{
    Seq, Timestamp,
    control::{EventKind, Note},
    directory::{Changes, Notice, NoticeKind},
};
use tokio::sync::watch;

use crate::{
    events::Events,
    store::{Mail, Own},
};

/// Events and numbers.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) events: Events,
    /// Requests of others that wait for an answer.
    requests: AtomicU64,
    /// Messages that were refused.
    refused: AtomicU64,
    mail: watch::Sender<Mail>,
    stored: watch::Sender<Seq>,
    notes: watch::Sender<Vec<Note>>,
}

impl Feed {
    /// Of a daemon that starts with these numbers.
    pub(crate) fn new(own: &Own) -> Self {
        Self {
            events: Events::default(),
            requests: AtomicU64::new(own.requests),
            refused: AtomicU64::new(own.refused),
            mail: watch::Sender::new(own.mail),
            stored: watch::Sender::new(own.stored),
            notes: watch::Sender::new(own.notes.clone()),
        }
    }

    /// Requests of others that wait for an answer.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Other requests wait now. Called on the writer's thread.
    pub(crate) fn set_requests(&self, count: u64) {
        self.requests.store(count, Ordering::Relaxed);
    }

    /// Messages that were refused because they are not what their sender has signed.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// More were refused. Called on the writer's thread.
    pub(crate) fn set_refused(&self, count: u64) {
        self.refused.store(count, Ordering::Relaxed);
    }

    /// What the messages come to, now and from now on.
    pub(crate) fn mail(&self) -> watch::Receiver<Mail> {
        self.mail.subscribe()
    }

    /// The messages come to something else now. Called on the writer's thread.
    pub(crate) fn set_mail(&self, mail: Mail) {
        self.mail.send_replace(mail);
    }

    /// The last update that is durable, now and from now on.
    pub(crate) fn stored(&self) -> watch::Receiver<Seq> {
        self.stored.subscribe()
    }

    /// The last update that is durable.
    pub(crate) fn stored_now(&self) -> Seq {
        *self.stored.borrow()
    }

    /// Updates up to this one are durable.
    pub(crate) fn set_stored(&self, stored: Seq) {
        self.stored.send_replace(stored);
    }

    /// What the user should know even if no one watched when it happened.
    pub(crate) fn notes(&self) -> Vec<Note> {
        self.notes.borrow().clone()
    }

    /// Data was restored: tells what is new to those who watch, and keeps all of it for the others.
    pub(crate) fn restored(&self, news: &[Box<str>], notes: Vec<Note>) {
        self.notes.send_replace(notes);
        for text in news {
            tracing::warn!(%text, "restored");
            self.notice(NoticeKind::Restored, text);
        }
    }

    /// Passes on what the directory reports of other peers' presence.
    pub(crate) fn presence(&self, changes: Changes) {
        for presence in changes.peers {
            self.events.tell(presence.at, EventKind::Presence(presence));
        }
        if changes.missed {
            let text = "more peers went online and offline than could be reported; `dosctl list --online` shows who is online";
            self.notice(NoticeKind::Missed, text);
        }
    }

    /// Reports something that concerns this daemon itself.
    pub(crate) fn notice(&self, kind: NoticeKind, text: &str) {
        self.events.tell(Timestamp::now(), EventKind::Notice(Notice { kind, text: text.into() }));
    }
}
