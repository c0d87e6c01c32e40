//! Every setting: its default, its environment variable, its key, and that it has an effect.

use clap::Args as _;

use super::*;

/// Key, default as the help tells it (nothing where it does not), another value as the file has it.
const SETTINGS: [(&str, &str, &str); 21] = [
    ("profile", "", "'bob'"),
    ("state_dir", "$XDG_STATE_HOME/dos/peers/PROFILE", "'/y'"),
    ("socket", "$XDG_RUNTIME_DIR/dos/PROFILE/control.sock", "'/y'"),
    ("listen", "[::]:0", "'[::1]:1'"),
    ("advertise", "", "['192.0.2.7:1']"),
    ("reachable", "true", "false"),
    ("port_mapping", "on", "'off'"),
    ("auto_fetch", "true", "false"),
    ("strangers", "offer", "'refuse'"),
    ("cache_bytes_max", "10737418240", "1"),
    ("max_uploads", "16", "3"),
    ("max_downloads", "16", "3"),
    ("upload_rate", "no bound", "20000"),
    ("download_rate", "no bound", "20000"),
    ("gallery", "off", "'on'"),
    ("notify", "off", "'on'"),
    ("gallery_socket", "", "'/g'"),
    ("gallery_url", "", "'https://b'"),
    ("log", "info", "'debug'"),
    ("log_format", "text", "'json'"),
    ("metrics", "nowhere", "'[::1]:2'"),
];

fn load(text: &str, given: Given) -> Result<Config, ConfigError> {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("peerd.toml");
    std::fs::write(&path, text).unwrap();
    let home = Environment { home: Some("/h".into()), ..Environment::default() };
    Config::load(given, Some(&path), &home)
}

fn config(text: &str) -> Result<Config, ConfigError> {
    load(text, Given::default())
}

#[test]
fn every_setting_is_in_the_table_with_its_default_and_an_environment_variable() {
    let options = Given::augment_args(clap::Command::new("peerd"));
    let options: Vec<_> = options.get_arguments().collect();
    assert_eq!(options.len(), SETTINGS.len());
    assert_eq!(Given::KEYS, SETTINGS.map(|(key, ..)| key));
    for (option, (key, default, _)) in options.iter().zip(SETTINGS) {
        assert_eq!(option.get_long(), Some(&*key.replace('_', "-")));
        assert_eq!(option.get_env().unwrap(), &*format!("PEERD_{}", key.to_uppercase()));
        let help = option.get_help().unwrap().to_string();
        let told = help.split_once(" [default: ").map(|(_, default)| default.trim_end_matches('.'));
        assert_eq!(told.unwrap_or("]"), format!("{default}]"), "{key}: {help}");
    }
}

#[test]
fn every_setting_is_in_the_documents_with_its_default() {
    let document = include_str!("../../../docs/settings.md");
    for (key, default, _) in SETTINGS {
        let default = match key {
            "profile" => "default",
            "advertise" | "gallery_socket" | "gallery_url" => "none",
            _ => default,
        };
        let row = format!("` | `PEERD_{}` | `{key}` | {default} |", key.to_uppercase());
        let row = document.lines().find(|line| line.contains(&row)).unwrap_or_else(|| panic!("no row {row}"));
        assert!(row.starts_with(&format!("| `--{} ", key.replace('_', "-"))), "{row}");
    }
}

#[test]
fn a_default_is_what_it_is_said_to_be_and_another_value_changes_something() {
    // Of these each needs the other.
    let beside = |key: &str| match key {
        "gallery_socket" => "gallery_url = 'https://a'\n",
        "gallery_url" => "gallery_socket = '/a'\n",
        _ => "",
    };
    let given = format!("{:?}", config("").unwrap());
    for (key, default, other) in SETTINGS {
        let changed = config(&format!("{}{key} = {other}", beside(key))).unwrap();
        assert_ne!(format!("{changed:?}"), given, "{key} has no effect");
        if matches!(key, "listen" | "log" | "log_format") {
            let same = config(&format!("{key} = '{default}'")).unwrap();
            assert_eq!(format!("{same:?}"), given, "the default of {key}");
        } else if default == "true" || default.parse::<u64>().is_ok() {
            let same = config(&format!("{key} = {default}")).unwrap();
            assert_eq!(format!("{same:?}"), given, "the default of {key}");
        }
        let now = config("").unwrap();
        let restart = now.needs_restart_for(&changed);
        if changed.settings != now.settings || changed.log != now.log {
            assert_eq!(restart, <[&str; 0]>::default());
        } else {
            assert!(restart.iter().any(|told| told.contains(key)), "{key}: {restart:?}");
        }
    }
    let now = config("").unwrap();
    assert_eq!((&*now.profile, now.advertise.len(), now.metrics), ("default", 0, None));
    assert_eq!((now.settings.uploads.rate, now.settings.downloads.rate), (None, None));
    assert_eq!(now.state_dir, Path::new("/h/.local/state/dos/peers/default"));
}

#[test]
fn a_flag_beats_the_file_and_the_file_beats_the_default() {
    let file = "profile = 'bob'\nauto_fetch = false\nlisten = '127.0.0.1:7'\nadvertise = ['192.0.2.7:1']";
    let from_file = config(file).unwrap();
    assert_eq!((&*from_file.profile, from_file.settings.auto_fetch), ("bob", false));
    assert_eq!(from_file.state_dir, Path::new("/h/.local/state/dos/peers/bob"));
    let advertise = Some(vec!["192.0.2.8:1".parse().unwrap()]);
    let given = Given { auto_fetch: Some(true), profile: Some("eve".into()), advertise, ..Given::default() };
    let config = load(file, given).unwrap();
    assert_eq!((&*config.profile, config.settings.auto_fetch), ("eve", true));
    assert_eq!(config.advertise, ["192.0.2.8:1".parse().unwrap()]);
}

#[test]
fn what_cannot_be_meant_is_refused_and_what_is_at_the_edge_is_not() {
    const HALF: &str = "gallery_socket and gallery_url go together: where the proxy finds the gallery, and where browsers find the proxy";
    let many = |count| format!("advertise = [{}]", vec!["'192.0.2.7:1'"; count].join(", "));
    for (text, why) in [
        (
            "profile = '../x'",
            "a profile is named with 1 to 32 of a-z A-Z 0-9 . _ -, not beginning with a dot or a dash",
        ),
        ("upload_rate = 16383", "upload_rate is at least 16384 bytes per second"),
        ("download_rate = 0", "download_rate is at least 16384 bytes per second"),
        (&*many(17), "at most 16 addresses can be advertised"),
        (
            "reachable = false\nadvertise = ['192.0.2.7:1']",
            "a daemon that is not reachable advertises no address",
        ),
        ("gallery_socket = '/a'", HALF),
        ("gallery_url = 'https://a'", HALF),
    ] {
        assert_eq!(config(text).unwrap_err().to_string(), why);
    }
    assert_eq!(config("upload_rate = 16384").unwrap().settings.uploads.rate, NonZeroU64::new(16_384));
    assert_eq!(config(&many(16)).unwrap().advertise.len(), 16);
    assert!(matches!(config("max_uploads = 0"), Err(ConfigError::File(FileError::Wrong(..)))));
    assert!(matches!(config("log = 'a=loud'"), Err(ConfigError::Log(_))));
    let long = format!("socket = '{}'", "/s".repeat(60));
    assert!(matches!(config(&long), Err(ConfigError::SocketTooLong(_))));
    let nowhere = Config::load(Given::default(), None, &Environment::default());
    assert!(matches!(nowhere, Err(ConfigError::NoStateDir)));
    let error = config("listne = '127.0.0.1:7'").unwrap_err().to_string();
    assert!(error.ends_with("unknown key \"listne\", do you mean \"listen\"?"), "{error}");
}
