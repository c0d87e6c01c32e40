//! All bounds of the gallery. One person uses it, in a few windows.

use std::time::Duration;

/// Connections at once: a browser opens six to a host, for each window that streams one more. A further one waits.
pub(super) const CONNECTIONS_MAX: usize = 64;

/// Connections that wait to be taken.
pub(super) const BACKLOG: i32 = 64;

/// A request's head comes within this time.
pub(super) const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// A form comes whole within this time; it comes from this machine.
pub(super) const FORM_TIME_MAX: Duration = Duration::from_secs(10);

/// The bytes of a form, without pictures: the longest message, each byte of it written as three.
pub(super) const FORM_BYTES_MAX: usize = 64 << 10;

/// The next piece of a picture that is added comes within this time.
pub(super) const PIECE_TIME_MAX: Duration = Duration::from_secs(60);

/// After a failure to accept (no file descriptor left): time for others to end.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// When the daemon stops, what is being answered gets this long.
pub(super) const FINISH_TIME_MAX: Duration = Duration::from_secs(1);

/// Sessions at once; with one more, that which was idle longest ends.
pub(super) const SESSIONS_MAX: usize = 16;

/// Tokens that were not used yet; with one more, the oldest is void.
pub(super) const TOKENS_MAX: usize = 16;

/// A token is used within this time: `dosctl gallery` opens the browser at once.
pub(super) const TOKEN_TIME: Duration = Duration::from_secs(5 * 60);

/// A session in which nobody does anything ends after this time.
pub(super) const IDLE_TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// Between two looks at whether all sessions have ended.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(30);

/// One-time addresses of a session that were not used yet; with one more, the oldest is void.
pub(super) const TICKETS_MAX: usize = 8;

/// A one-time address is used within this time: the page that has it asks for it at once.
pub(super) const TICKET_TIME: Duration = Duration::from_secs(120);

/// Windows that receive what happens, all sessions together.
pub(super) const STREAMS_MAX: usize = 24;

/// A stream sends a sign of life this often.
pub(super) const STREAM_SIGN: Duration = Duration::from_secs(20);

/// Pictures on a page.
pub(super) const PICTURES_PER_PAGE: usize = 100;

/// Pictures that are looked through for one page of a search. What is further away is found from the next page on.
pub(super) const SEARCHED_MAX: usize = 20_000;

/// Of these, as many are held in memory at a time.
pub(super) const SEARCHED_AT_ONCE: u32 = 200;

/// The largest original of which a picture is made: it is held in memory meanwhile. Scans and camera files are smaller.
pub(super) const RENDERED_BYTES_MAX: u64 = 128 << 20;

/// Peers on the page of people.
pub(super) const PEOPLE_MAX: usize = 500;

/// Grants, requests and contacts that a page shows.
pub(super) const ROWS_MAX: usize = 500;

/// Receipts on the page of a picture.
pub(super) const RECEIPTS_MAX: usize = 20;

/// Messages on a page.
pub(super) const MESSAGES_MAX: u32 = 100;
