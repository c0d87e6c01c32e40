//! Settings that are declared once: option, environment variable, key of the file, help, default and check.
//!
//! A flag beats the environment beats the file beats the default. The environment variable and the key of the file are named
//! after the option; a test of each program goes through all of them.

/// A value that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(pub String);

/// The option of the setting with this key.
#[must_use]
pub fn option_of(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// Declares the settings of a program.
///
/// ```
/// use dos_daemon::settings::{SettingError, option_of};
///
/// fn positive(key: &str, value: &u32) -> Result<(), SettingError> {
///     let error = || SettingError(format!("{} needs a number of at least 1", option_of(key)));
///     (*value > 0).then_some(()).ok_or_else(error)
/// }
///
/// dos_daemon::settings! {
///     /// As they are given on the command line or in the file.
///     pub struct Given;
///     /// As they are in force.
///     pub struct Values;
///
///     /// Sessions in all [default: 100]
///     sessions_max: u32 = 100, check positive, [value_name = "N", env = "X_SESSIONS_MAX"];
///     /// What the log is called [default: standard error]
///     log: String, [value_name = "FILE", env = "X_LOG"];
/// }
///
/// let values = Given { log: Some("x".into()), ..Given::default() }.values().unwrap();
/// assert_eq!((values.sessions_max, values.log.as_deref()), (100, Some("x")));
/// assert!(Given { sessions_max: Some(0), ..Given::default() }.values().is_err());
/// assert_eq!(Given::KEYS, ["sessions_max", "log"]);
/// ```
///
/// An entry is: its help, `key: Type`, its default (a setting without one is an `Option` in force), `check` and a function
/// of key and value, further arguments of clap's `#[arg]` in brackets, and further arguments of `#[serde]` after `serde`.
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $given_doc:tt])+
        pub struct $Given:ident;
        $(#[doc = $values_doc:tt])+
        pub struct $Values:ident;
        $(
            $(#[doc = $doc:tt])+
            $key:ident: $ty:ident $(<$of:ident>)? $(= $default:expr)?, $(check $check:path,)? [$($arg:tt)*]
            $(serde $serde:tt)?;
        )+
    ) => {
        $(#[doc = $given_doc])+
        #[derive(Debug, Clone, Default, serde::Deserialize, clap::Args)]
        #[serde(deny_unknown_fields)]
        pub struct $Given {
            $(
                $(#[doc = $doc])+
                #[arg(long, $($arg)*)]
                $(#[serde $serde])?
                pub $key: Option<$ty $(<$of>)?>,
            )+
        }

        $(#[doc = $values_doc])+
        #[derive(Debug, Clone)]
        pub struct $Values {
            $(
                $(#[doc = $doc])+
                pub $key: $crate::settings!(@type ($ty $(<$of>)?) $($default)?),
            )+
        }

        impl Default for $Values {
            fn default() -> Self {
                Self { $($key: $crate::settings!(@value None::<$ty $(<$of>)?>, $($default)?)),+ }
            }
        }

        impl $Given {
            /// The keys of the file, in the order in which they are declared.
            pub const KEYS: &[&str] = &[$(stringify!($key)),+];

            /// What is given here, and where nothing is given what is given `below`.
            #[must_use]
            pub fn over(self, below: Self) -> Self {
                Self { $($key: self.$key.or(below.$key)),+ }
            }

            /// What is given, and the defaults for the rest.
            ///
            /// # Errors
            /// The first value that cannot be meant.
            pub fn values(self) -> Result<$Values, $crate::settings::SettingError> {
                $($(if let Some(value) = &self.$key {
                    $check(stringify!($key), value)?;
                })?)+
                Ok($Values { $($key: $crate::settings!(@value self.$key, $($default)?)),+ })
            }
        }
    };
    (@type ($($ty:tt)+)) => { Option<$($ty)+> };
    (@type ($($ty:tt)+) $default:expr) => { $($ty)+ };
    (@value $given:expr,) => { $given };
    (@value $given:expr, $default:expr) => { $given.unwrap_or_else(|| $default) };
}
