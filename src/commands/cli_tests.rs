use super::*;
use crate::config::keys::{ALL, Shape};

fn cli(words: &[&str]) -> Cli {
    parse(&words.iter().map(|w| (*w).to_string()).collect::<Vec<_>>())
}

fn flags(words: &[&str]) -> Flags {
    match cli(words) {
        Cli::Run(flags) | Cli::ConfigCheck(flags) => flags,
        other => panic!("{other:?}"),
    }
}

fn usage(words: &[&str]) -> String {
    match cli(words) {
        Cli::Usage(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_flag_of_the_table_reaches_its_setting_in_every_spelling() {
    for key in ALL.iter().filter(|k| !k.flag.is_empty()) {
        for command in [&["run"][..], &["config", "check"]] {
            for name in [format!("--{}", key.flag), argv::option(key)] {
                let joined = format!("{name}=true");
                assert_eq!(flags(&[command, &[&joined]].concat()).last(key.flag), Some("true"), "{joined}");
                let apart = if key.shape == Shape::Switch {
                    vec![name.as_str()]
                } else {
                    vec![name.as_str(), "true"]
                };
                assert_eq!(flags(&[command, &apart].concat()).last(key.flag), Some("true"), "{apart:?}");
            }
        }
    }
}

#[test]
fn repeated_flags_keep_their_order_and_the_last_single_value_wins() {
    let flags =
        flags(&["run", "--log.level", "info", "--mcp.command=a", "--log.level=debug", "--mcp-command", "b"]);
    assert_eq!(flags.all("mcp.command").unwrap(), ["a", "b"]);
    assert_eq!(flags.last("log.level"), Some("debug"));
    assert_eq!(flags.last("log.file"), None);
}

#[test]
fn case_285_flags_of_other_flavours_are_unknown_to_run() {
    assert!(usage(&["run", "--open-web-ui"]).starts_with("unknown flag: --open-web-ui\n"));
    assert!(usage(&["run", "--cloudflared.token=x"]).starts_with("unknown flag: --cloudflared.token\n"));
}

#[test]
fn wrong_usage_is_told() {
    assert!(usage(&["frobnicate"]).contains("frobnicate"));
    assert!(usage(&["run", "extra"]).contains("extra"));
    assert!(usage(&["config"]).contains("check"));
    assert!(usage(&["worker", "x"]).contains("worker"));
    assert!(usage(&["run", "--config"]).contains("flag needs an argument: --config"));
}

#[test]
fn version_and_help_are_printed() {
    for words in [&["--version"][..], &["version"]] {
        match cli(words) {
            Cli::Print(text) => assert_eq!(text, format!("tunnelward {}", env!("CARGO_PKG_VERSION"))),
            other => panic!("{other:?}"),
        }
    }
    for words in [
        &[][..],
        &["--help"],
        &["-h"],
        &["help"],
        &["run", "--help"],
        &["run", "-h"],
        &["config", "check", "--help"],
    ] {
        match cli(words) {
            Cli::Print(text) => {
                assert!(text.starts_with("Usage: tunnelward"), "{text}");
                assert!(!text.contains("launch"), "{text}");
            }
            other => panic!("{words:?}: {other:?}"),
        }
    }
}

#[test]
fn an_unknown_flag_is_answered_with_the_one_that_was_meant() {
    for (words, meant) in [
        (&["run", "--control-plane.pol-timeout", "1s"][..], "--control-plane.poll-timeout"),
        (&["config", "check", "--control-plane-pol-timeout=1s"], "--control-plane-poll-timeout"),
        (&["config", "show", "--jsno"], "--json"),
        (&["confinement", "--prob"], "--probe"),
    ] {
        let text = usage(words);
        assert!(
            text.starts_with("unknown flag: ") && text.contains(&format!("; did you mean {meant}?\n")),
            "{text}"
        );
    }
}

#[test]
fn show_schema_and_version_are_understood() {
    match cli(&["config", "show", "--json", "--log.level=debug"]) {
        Cli::ConfigShow(true, flags) => assert_eq!(flags.last("log.level"), Some("debug")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(cli(&["config", "show"]), Cli::ConfigShow(false, _)));
    assert!(matches!(cli(&["config", "schema"]), Cli::Print(text) if text.starts_with("{\"$schema\"")));
    assert!(matches!(cli(&["version", "--json"]), Cli::Print(text) if text.starts_with("{\"format\":1,")));
    assert!(matches!(cli(&["complete", "run", "--config"]), Cli::Print(_)));
    assert!(usage(&["completions", "tcsh"]).contains("bash, zsh and fish"));
}

#[test]
fn the_hidden_roles_are_understood() {
    assert!(matches!(cli(&["worker"]), Cli::Worker));
    match cli(&["launch", "--fd", "5", "main"]) {
        Cli::Launch(launch) => {
            assert_eq!((launch.fd, launch.channel.as_str()), (5, "main"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn pin_takes_a_host_and_the_flags_of_run_in_any_order() {
    for words in [
        &["pin", "h:1", "--ca-bundle", "/c", "--config=x"][..],
        &["pin", "--ca-bundle=/c", "h:1", "--config", "x"],
        &["pin", "--config", "x", "--ca-bundle", "/c", "h:1"],
    ] {
        match cli(words) {
            Cli::Pin(target, flags) => {
                assert_eq!((target.as_str(), flags.last("ca-bundle")), ("h:1", Some("/c")));
                assert_eq!(flags.last("config"), Some("x"));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(usage(&["pin"]).contains("host[:port]"));
    assert!(usage(&["pin", "a", "b"]).contains('b'));
    assert!(usage(&["pin", "h", "--nope"]).starts_with("unknown flag: --nope"));
    assert!(matches!(cli(&["pin", "--help"]), Cli::Print(text) if text.contains("host[:port]")));
    assert!(matches!(cli(&["look"]), Cli::Look));
}

#[test]
fn doctor_takes_the_flags_of_run_and_ends_with_codes_of_its_own() {
    match cli(&["doctor", "--json", "--log.level=debug", "--explain", "--offline", "--profile", "p"]) {
        Cli::Doctor(wanted) => {
            assert!(wanted.json && wanted.explain && wanted.offline);
            assert_eq!(wanted.flags.last("log.level"), Some("debug"));
            assert_eq!(wanted.flags.last("profile"), Some("p"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(cli(&["doctor", "--frobnicate"]), Cli::Misused(_)));
    assert!(matches!(cli(&["doctor", "--help"]), Cli::Print(_)));
}

#[test]
fn init_takes_values_joined_to_their_flags() {
    for words in [
        &["init", "--tunnel-id=x", "--mcp-command=a=b c"][..],
        &["init", "--tunnel-id", "x", "--mcp-command", "a=b c"],
    ] {
        let told = format!("{:?}", cli(words));
        assert!(
            told.contains("tunnel_id: Some(\"x\")") && told.contains("mcp_command: Some(\"a=b c\")"),
            "{told}"
        );
    }
    assert!(matches!(cli(&["init", "--cloudflared"]), Cli::Usage(_)));
}

#[test]
fn health_ready_and_status_take_options_of_their_own_and_the_flags_of_run() {
    for words in [
        &["health", "--url", "http://127.0.0.1:1", "--config=x", "--live"][..],
        &["health", "--config", "x", "--live", "--url=http://127.0.0.1:1"],
        &["ready", "--config", "x", "--port", "1"],
        &["status", "--watch", "5", "--json", "--config", "x", "--url-file", "/u"],
    ] {
        match cli(words) {
            Cli::Ask(_, flags) => assert_eq!(flags.last("config"), Some("x"), "{words:?}"),
            other => panic!("{other:?}"),
        }
    }
    // Here it is the file of whom to look for, elsewhere the one that run makes.
    match cli(&["health", "--pid-file", "/p"]) {
        Cli::Ask(_, flags) => assert_eq!(flags.last("pid.file"), None),
        other => panic!("{other:?}"),
    }
    for wrong in [
        &["health", "--nonsense"][..],
        &["ready", "x"],
        &["status", "--port", "x"],
        &["ready", "--url"],
        &["health", "--jsn"],
    ] {
        assert!(matches!(cli(wrong), Cli::Misused(_)), "{wrong:?}");
    }
    assert!(matches!(cli(&["inquire"]), Cli::Inquire));
}
