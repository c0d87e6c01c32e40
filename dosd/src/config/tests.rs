//! Every setting: its default, its environment variable, its key, and that it has an effect.

use clap::Args as _;
use dos_protocol::limits::BLOCK_DURATION;

use super::*;

/// Key, default as the help tells it, another value as the file has it.
const SETTINGS: [(&str, &str, &str); 41] = [
    ("listen", "[::]:5001", "'[::1]:1'"),
    ("data_dir", "$STATE_DIRECTORY, or dos/dosd in the user's state directory", "'/y'"),
    ("store", "a file in the data directory", "'postgres://a@localhost/b'"),
    ("store_ca", "only servers on this machine, without TLS", "'/z'"),
    ("store_password_file", "no password", "'/z'"),
    ("cluster", "alone", "'[::1]:3'"),
    ("advertise", "the address of this machine", "'a:1'"),
    ("announce", "on where the join link has an address of the local network", "'off'"),
    ("registration", "invite", "'open'"),
    ("registrations_per_minute", "60", "1"),
    ("peer_invites", "0", "3"),
    ("broadcast", "on", "'off'"),
    ("broadcasts_per_minute", "6", "1"),
    ("default_visibility", "listed", "'private'"),
    ("preview_size", "256", "512"),
    ("idle_timeout", "never", "'2h'"),
    ("block_duration", "60s", "'5m'"),
    ("sessions_max", "100000", "1"),
    ("sessions_per_address", "20000", "1"),
    ("handshakes_per_minute", "12000", "1"),
    ("requests_per_second", "500", "1"),
    ("messages_per_minute", "600", "1"),
    ("views_per_minute", "600", "1"),
    ("images_per_peer", "100000", "1"),
    ("preview_bytes_per_peer", "268435456", "1"),
    ("row_bytes_per_peer", "134217728", "1"),
    ("inbox_rows_per_sender", "1000", "1"),
    ("inbox_rows_max", "100000", "1"),
    ("inbox_bytes_max", "67108864", "1"),
    ("sent_bytes_per_peer", "67108864", "1"),
    ("database_bytes_max", "as large as the disk allows", "1"),
    ("disk_reserve_bytes", "1073741824", "1"),
    ("relay", "on", "'off'"),
    ("relay_calls", "256", "3"),
    ("relay_calls_per_peer", "16", "3"),
    ("relay_bytes_per_second", "1000000000", "9000"),
    ("relay_bytes_per_second_per_peer", "500000000", "9000"),
    ("relay_idle", "60s", "'5s'"),
    ("log", "info", "'debug'"),
    ("log_format", "text", "'json'"),
    ("metrics", "nowhere", "'[::1]:2'"),
];

fn config(text: &str) -> Result<Config, ConfigError> {
    let below = FileConfig { data_dir: Some("/x".into()), ..FileConfig::default() };
    Config::new(toml::from_str(text).unwrap(), below)
}

#[test]
fn every_setting_is_in_the_table_with_its_default_and_an_environment_variable() {
    let options = FileConfig::augment_args(clap::Command::new("serve"));
    let options: Vec<_> = options.get_arguments().collect();
    assert_eq!(options.len(), SETTINGS.len());
    assert_eq!(FileConfig::KEYS, SETTINGS.map(|(key, ..)| key));
    for (option, (key, default, _)) in options.iter().zip(SETTINGS) {
        assert_eq!(option.get_long(), Some(&*key.replace('_', "-")));
        assert_eq!(option.get_env().unwrap(), &*format!("DOSD_{}", key.to_uppercase()));
        let help = option.get_help().unwrap().to_string();
        assert!(help.ends_with(&format!(" [default: {default}]")), "{key}: {help}");
    }
}

#[test]
fn every_setting_is_in_the_documents_with_its_default() {
    let document = include_str!("../../../docs/settings.md");
    for (key, default, _) in SETTINGS {
        let row = format!("` | `DOSD_{}` | `{key}` | {default} |", key.to_uppercase());
        let row = document.lines().find(|line| line.contains(&row)).unwrap_or_else(|| panic!("no row {row}"));
        assert!(row.starts_with(&format!("| `--{} ", key.replace('_', "-"))), "{row}");
    }
}

#[test]
fn a_default_is_what_it_is_said_to_be_and_another_value_changes_something() {
    let given = format!("{:?}", config("").unwrap());
    for (key, default, other) in SETTINGS {
        let needs = if key.starts_with("store_") || key == "cluster" {
            "store = 'postgres://a@localhost/b'\n"
        } else {
            ""
        };
        let given = if needs.is_empty() { given.clone() } else { format!("{:?}", config(needs).unwrap()) };
        let changed = config(&format!("{needs}{key} = {other}")).unwrap();
        assert_ne!(format!("{changed:?}"), given, "{key} has no effect");
        if !matches!(
            key,
            "data_dir"
                | "store"
                | "store_ca"
                | "store_password_file"
                | "cluster"
                | "advertise"
                | "announce"
                | "idle_timeout"
                | "database_bytes_max"
                | "metrics"
        ) {
            let value = if default.parse::<u64>().is_ok() { default.into() } else { format!("'{default}'") };
            let same = config(&format!("{key} = {value}")).unwrap();
            assert_eq!(format!("{same:?}"), given, "the default of {key}");
        }
        let now = config(needs).unwrap();
        let live = changed.settings != now.settings || changed.log != now.log;
        let restart: &[&str] = if live { &[] } else { &[key] };
        assert_eq!(now.needs_restart_for(&changed), restart);
    }
    let now = config("").unwrap();
    assert_eq!((now.advertise, now.metrics, now.settings.idle_timeout), (None, None, None));
    assert_eq!(now.settings.limits.database_bytes_max, None);
}

#[test]
fn what_is_said_beats_the_file() {
    let said = FileConfig { listen: Some("127.0.0.1:1".parse().unwrap()), ..FileConfig::default() };
    let file = toml::from_str("listen = '127.0.0.1:2'\ndata_dir = '/x'\nadvertise = '[::1]:9'").unwrap();
    let config = Config::new(said, file).unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.data_dir, PathBuf::from("/x"));
    assert_eq!(config.advertise, Some(("::1".into(), 9)));
}

#[test]
fn what_needs_a_restart_is_told_together() {
    let other = config(
        "listen = '[::1]:1'\nadvertise = 'a:1'\nannounce = 'on'\nlog_format = 'json'\nmetrics = '[::1]:2'",
    )
    .unwrap();
    let now = config("registration = 'open'").unwrap();
    assert_eq!(now.needs_restart_for(&other), ["listen", "advertise", "announce", "log_format", "metrics"]);
}

#[test]
fn values_that_cannot_be_meant_are_refused_and_those_at_the_edge_are_not() {
    for (text, why) in [
        ("registrations_per_minute = 0", "--registrations-per-minute needs a number of at least 1"),
        ("peer_invites = 1001", "--peer-invites needs a number from 0 to 1000"),
        ("broadcasts_per_minute = 0", "--broadcasts-per-minute needs a number of at least 1"),
        ("requests_per_second = 0", "--requests-per-second needs a number of at least 1"),
        ("preview_bytes_per_peer = 0", "--preview-bytes-per-peer needs a number of at least 1"),
        ("database_bytes_max = 0", "--database-bytes-max needs a number of at least 1"),
        ("idle_timeout = '999ms'", "--idle-timeout needs a time of at least 1s"),
        ("block_duration = '999ms'", "--block-duration is from 1s to 1h"),
        ("block_duration = '3601s'", "--block-duration is from 1s to 1h"),
        ("relay_calls = 0", "--relay-calls needs a number from 1 to 10000"),
        ("relay_calls_per_peer = 10001", "--relay-calls-per-peer needs a number from 1 to 10000"),
        ("relay_bytes_per_second = 999", "--relay-bytes-per-second needs a number of at least 1000"),
        ("relay_idle = '999ms'", "--relay-idle needs at least 1s"),
        ("cluster = '10.0.0.1:3'", "--cluster needs --store: nodes share a store on database servers"),
        (
            "store = 'postgres://a@localhost/b'\ncluster = '[::]:3'",
            "--cluster needs an address of this server that the other nodes can reach",
        ),
        ("advertise = 'nonsense'", "--advertise needs HOST:PORT, not \"nonsense\""),
    ] {
        assert_eq!(config(text).unwrap_err().to_string(), why);
    }
    for text in [
        "idle_timeout = '1s'",
        "block_duration = '1s'",
        "block_duration = '1h'",
        "relay_calls = 1",
        "relay_calls = 10000",
        "relay_bytes_per_second = 1000",
        "relay_idle = '1s'",
    ] {
        assert!(config(text).is_ok(), "{text}");
    }
    assert_eq!(config("").unwrap().settings.block_duration, BLOCK_DURATION);
}

#[test]
fn unknown_keys_and_values_of_another_kind_are_refused() {
    let file = |text: &str| toml::from_str::<FileConfig>(text);
    for text in [
        "lissen = 'x'",
        "block_duration = 60",
        "idle_timeout = 'soon'",
        "relay = 'maybe'",
        "preview_size = 384",
    ] {
        assert!(file(text).is_err(), "{text}");
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("dosd.toml");
    std::fs::write(&path, "registraton = 'open'").unwrap();
    let error = FileConfig::read(&path).unwrap_err().to_string();
    assert!(error.ends_with("unknown key \"registraton\", do you mean \"registration\"?"), "{error}");
}
