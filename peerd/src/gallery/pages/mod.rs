//! The pages, one file each: what they ask of the commands, and what they make of it.

pub(super) mod enter;
pub(super) mod messages;
pub(super) mod news;
pub(super) mod people;
pub(super) mod picture;
pub(super) mod pictures;
pub(super) mod preview;
pub(super) mod requests;
pub(super) mod settings;
pub(super) mod view;
