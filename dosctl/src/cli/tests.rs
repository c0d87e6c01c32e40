//! Command lines: which are taken, and how others are refused.

use dos_protocol::PublicKey;

use super::*;

fn words(line: &str) -> Vec<OsString> {
    let words = std::iter::once("dosctl").chain(line.split('|').filter(|word| !word.is_empty()));
    words.map(OsString::from).collect()
}

/// Both ways to read a command line must agree; the quick one leaves all that is wrong to the other.
fn try_parse(line: &str) -> Result<Cli, Stop> {
    let (quick, full) = (parse_alone(&words(line)), parse_full(&words(line)));
    assert_eq!(
        quick.map(|cli| format!("{cli:?}")),
        full.as_ref().ok().map(|cli| format!("{cli:?}")),
        "{line}"
    );
    full
}

fn refused(line: &str) -> WireError {
    match try_parse(line) {
        Err(Stop::Wrong(error)) => error,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_documented_command_lines_are_taken() {
    let link = format!("dos://{}@example.org:5001", PublicKey::from([9; 32]));
    for line in [
        &format!("register|--server|{link}|--name|alice|--invite|Ab3"),
        "login",
        "login|--force",
        &format!("register|--server|{link}|--name|alice|--password"),
        &format!("register|--server|{link}|--name|alice|--password-stdin"),
        &format!("login|--server|{link}|--name|alice"),
        &format!("login|--server|{link}|--name|alice|--force"),
        &format!("login|--server|{link}|--name|alice|--password-stdin"),
        &format!("login|--server|{link}|--name|alice|--password-file|/run/secret"),
        "password",
        "password|--password-stdin",
        "password|--password-file|secret",
        "password|--remove",
        "logout",
        "status",
        "wait|--state|online|--timeout|10s",
        "wait|--state|offline",
        "list",
        "list|bob|--online|--since|2h|--limit|500|--cursor|7xKqPm2R/sea",
        "list|--mine",
        "resolve|192.0.2.7:5001",
        "add|a.jpg|b.jpg|--replace",
        "add|a.jpg|--name|Sea at dawn",
        "remove|sea",
        "rename|sea|ocean",
        "preview|bob/sea|-o|-",
        "share|sea|bob|--views|0",
        "share|sea|bob|--add|3|--expires|7d",
        "share|sea|bob|--unlimited",
        "share|sea|bob|--revoke",
        "share|sea|bob|--allow-offline",
        "share|sea|bob|--add|1|--no-offline",
        "share|sea|7xKqPm2R|--expires|7d",
        "shares|--given",
        "request|bob/sea|--views|3|--note|please",
        "cancel|7",
        "requests|--incoming|--all",
        "approve|7|--views|2",
        "approve|7|--no-offline",
        "approve|7|--allow-offline",
        "request|bob/sea|--offline",
        "view|bob/sea|-o|out.jpg|--force",
        "deny|7|--reason|no",
        "fetch|bob/sea",
        "view|bob/sea|-o|out.jpg|--offline",
        "view|bob/sea|-o|-",
        "view|bob/sea",
        "checkout|bob/sea|--views|2",
        "checkin|bob/sea",
        "send|bob|hello",
        "send|7xKqPm2R|--direct",
        "send|192.0.2.7:5001|hello|--direct",
        "broadcast|lunch?",
        "messages",
        "messages|--unread|--with|bob|--follow|--limit|1000",
        "block|bob",
        "unblock|bob",
        "blocks",
        "approve|c7",
        "deny|c7",
        "ping|bob",
        "watch",
        "instances",
    ] {
        assert!(try_parse(line).is_ok(), "{line}: {:?}", try_parse(line).err());
    }
}

#[test]
fn wrong_command_lines_are_usage_errors_with_a_hint() {
    let link = format!("dos://{}@example.org:5001", PublicKey::from([9; 32]));
    for line in [
        "fly",
        "status|--loud",
        "register",
        "register|--server|http://x",
        "wait",
        "wait|--state|asleep",
        "wait|--state|online|--timeout|5",
        "login|--name|alice",
        "password|secret",
        "password|--remove|--password-stdin",
        "password|--password-stdin|--password-file|x",
        &format!("register|--server|{link}|--name|alice|--password|secret"),
        &format!("register|--server|{link}|--name|alice|--password=secret"),
        &format!("register|--server|{link}|--name|alice|--password-stdin=secret"),
        "list|--limit|0",
        "list|--limit|501",
        "list|--cursor|alice",
        "list|bob|--mine",
        "add",
        "share|sea|bob",
        "share|sea|bob|--views|1|--add|1",
        "share|sea|bob|--unlimited|--revoke",
        "share|sea|bob|--revoke|--expires|1d",
        "share|sea|bob|--allow-offline|--no-offline",
        "share|sea|bob|--revoke|--allow-offline",
        "approve|7|--allow-offline|--no-offline",
        "view|bob/sea|--force",
        "share|sea|bob|--views|-1",
        "share|sea|bob|--views|1000000001",
        "share|sea|bob|--add|0",
        "request|bob/sea|--views|0",
        "cancel|x",
        "approve|c",
        "approve|cc1",
        "send",
        "broadcast",
        "messages|--limit|0",
        "messages|--limit|1001",
        "block",
        "checkout|bob/sea",
        "--profile|../x|status",
        "--profile|a|--socket|/s|status",
        "--profile|a|status|--socket|/s",
    ] {
        let error = refused(line);
        assert_eq!(error.code, Code::Usage, "{line}: {error}");
        assert!(error.hint.is_some_and(|hint| hint.starts_with("dosctl ")), "{line}");
        assert!(!error.message.contains('\n'), "{line}");
    }
}

#[test]
fn many_can_be_named_at_once() {
    for line in [
        "remove|sea|alice/dunes|holiday*",
        "share|a*|b|--to|bob,@friends|--to|carol|--views|2",
        "approve|7|8|c1",
        "approve|--all|--from|bob|--views|1",
        "deny|--all",
        "group|friends|--add|bob|carol",
        "groups",
        "invite|bob",
        "invite|bob|sea|holiday*|--views|3|--expires|7d|--allow-offline|--code|Ab3",
        "invite|bob|sea|--unlimited",
        "invites|--revoke|bob",
        "list|--match|*/sea*",
        "add|-r|pictures",
    ] {
        assert!(try_parse(line).is_ok(), "{line}");
    }
    for line in ["invite", "invite|bob|sea", "invite|bob|--views|3", "invite|bob|sea|--views|3|--unlimited"] {
        assert_eq!(refused(line).code, Code::Usage, "{line}");
    }
    for line in ["approve", "approve|7|--all", "deny|--from|bob", "remove", "list|--match|a|--limit|3"] {
        assert_eq!(refused(line).code, Code::Usage, "{line}");
    }
}

#[test]
fn bad_names_are_invalid() {
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    for line in [
        "resolve|Bob",
        "resolve|b ob",
        "remove|a/b/c",
        "send|B|hello",
        "messages|--with|b ob",
        "block|Bob",
        "rename|sea|..",
        "view|bob/|-o|-",
        &format!("request|bob/sea|--note|{long}"),
    ] {
        assert_eq!(refused(line).code, Code::Invalid, "{line}");
    }
}

#[test]
fn each_rule_for_a_name_has_its_own_words() {
    let long = "x".repeat(33);
    for (name, told) in [
        ("", "a name cannot be empty"),
        (long.as_str(), "a peer's name has at most 32 characters"),
        ("Alice", "a peer's name is made of a-z, 0-9, '.', '_' and '-', not 'A'"),
        ("al ice", "a peer's name is made of a-z, 0-9, '.', '_' and '-', not ' '"),
        ("émile", "not 'é'"),
        ("a\nb", "not '\\n'"),
    ] {
        let link = format!("dos://{}@example.org:5001", PublicKey::from([9; 32]));
        for verb in ["register", "login"] {
            let args = ["dosctl", verb, "--server", &link, "--name", name].map(OsString::from);
            match parse(&args) {
                Err(Stop::Wrong(error)) => {
                    assert_eq!(error.code, Code::Invalid, "{name:?}: {error}");
                    assert!(error.message.contains(told), "{name:?}: {error}");
                }
                other => panic!("{name:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn wrong_arguments_are_told_in_one_line_each() {
    let shown = |line| crate::output::error_text(&refused(line), false);
    insta::assert_snapshot!(
        [shown("shar"), shown("share|sea|bob"), shown("status|--jsn"), shown("rename|sea|a/b")].concat()
    );
}

#[test]
fn the_options_of_every_command_go_before_or_after_it() {
    for line in ["--json|--socket|/s|status", "status|--json|--socket|/s", "--json|status|--socket|/s"] {
        let global = try_parse(line).unwrap().global;
        assert!(global.json, "{line}");
        assert_eq!(global.socket, Some("/s".into()), "{line}");
    }
    assert_eq!(try_parse("status|--profile|bob").unwrap().global.profile, "bob");
    assert_eq!(try_parse("status").unwrap().global.profile, "default");
    let named_like_a_command = parse(&words("--profile|share|status")).unwrap();
    assert!(matches!(named_like_a_command.verb, Verb::Status(_)));
}

#[test]
fn json_is_recognised_even_in_wrong_arguments() {
    let wants = |line: &str| wants_json(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert!(wants("dosctl fly --json"));
    assert!(!wants("dosctl fly -- --json"));
    assert!(!wants("dosctl fly"));
}

#[test]
fn help_and_the_version_are_no_errors_but_no_command_is() {
    assert!(
        matches!(try_parse("--help"), Err(Stop::Print(text)) if text.contains("dosctl [OPTIONS] <COMMAND>"))
    );
    assert!(matches!(try_parse("share|--help"), Err(Stop::Print(text)) if text.contains("Examples:")));
    assert!(matches!(try_parse("--version"), Err(Stop::Print(text)) if text.starts_with("dosctl 0.")));
    assert!(matches!(try_parse(""), Err(Stop::Nothing(_))));
}

#[test]
fn the_help_names_every_command_with_a_word_on_it() {
    Cli::command().debug_assert();
    for verb in Cli::command().get_subcommands() {
        assert!(verb.get_about().is_some_and(|about| !about.to_string().is_empty()), "{}", verb.get_name());
    }
}
