//! The commands, one file each, with their arguments: what is asked of peerd, and which view its answer gets.

pub mod add;
pub mod approve;
pub mod cancel;
pub mod checkin;
pub mod checkout;
pub mod deny;
pub mod fetch;
pub mod instances;
pub mod list;
pub mod login;
pub mod logout;
pub mod password;
pub mod preview;
pub mod register;
pub mod remove;
pub mod rename;
pub mod request;
pub mod requests;
pub mod resolve;
pub mod share;
pub mod shares;
pub mod status;
pub mod view;
pub mod wait;
pub mod watch;
