//! Bindings, commands and what they are given.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::config::check::server_info_len;

#[test]
fn case_031_more_channels_than_can_be_declared_are_refused() {
    let urls = |n: usize| -> String {
        let one =
            |i: usize| if i == 0 { "https://h/".into() } else { format!("channel=c{i},url=https://h/{i}") };
        (0..n).map(one).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(base().env("MCP_SERVER_URL", &urls(31)).good().worker.bindings.len(), 31);
    says(&base().env("MCP_SERVER_URL", &urls(33)).bad(), "at most 31 channels can be configured");
    let long = Binding {
        channel: Channel::normalise(&"x".repeat(64)).unwrap(),
        stateless: true,
        transport: Transport::Stdio { index: 0, serialize: false },
    };
    assert_eq!(
        server_info_len(&[&long]),
        format!(
            r#"{{"version":2,"channels":[{{"name":"{}","stateless":true,"proc_affinity":true}}]}}"#,
            long.channel
        )
        .len()
        .saturating_add(1)
    );
}

#[test]
fn bindings_come_from_lines_and_lists() {
    let config = base()
        .flag("mcp.server-url", "channel=Other, url=https://h/x")
        .flag("mcp.server-url", "https://h/y")
        .flag("mcp.command", "channel=a,command=sh -c 'a,b'")
        .flag("mcp.command", "command=sh x,y,channel=b")
        .good();
    let channels: Vec<&str> = config.worker.bindings.iter().map(|b| b.channel.as_str()).collect();
    assert_eq!(channels, ["other", "main", "a", "b"]);
    assert_eq!(config.commands[0].argv[1..], ["-c", "a,b"]);
    assert_eq!(config.commands[1].argv[1..], ["x,y"]);
    assert!(Path::new(&config.commands[0].argv[0]).is_absolute());
    assert_eq!(config.commands[1].channel.as_str(), "b");
}

#[test]
fn lists_replace_each_other_as_a_whole_and_the_two_kinds_are_independent() {
    let yaml = "mcp:\n  server_urls: [{url: 'https://h/1'}, {channel: b, url: 'https://h/2'}]\n";
    let file = base().without("MCP_SERVER_URL").yaml(yaml);
    assert_eq!(file.good().worker.bindings.len(), 2);
    assert_eq!(file.clone().env("MCP_SERVER_URL", "https://e").good().worker.bindings.len(), 1);
    assert_eq!(file.clone().flag("mcp.server-url", "https://f").good().worker.bindings.len(), 1);
    says(
        &file.flag("mcp.command", "sh").bad(),
        "mcp config: duplicate channel \"main\" from mcp.command (http-streamable already configured)",
    );
    says(
        &base().env("MCP_SERVER_URL", "https://a\nhttps://b").bad(),
        "mcp config: duplicate channel \"main\" from mcp.server-url (http-streamable already configured)",
    );
    says(
        &base().flag("mcp.command", "channel=x,command=sh").flag("mcp.command", "channel=X,command=sh").bad(),
        "mcp config: duplicate channel \"x\" from mcp.command (stdio already configured)",
    );
}

#[test]
fn malformed_bindings_are_refused_without_repeating_credentials() {
    for (line, phrase) in [
        ("channel=x", "must include scheme and host"),
        ("channel=x,url=https://h/a,hunter2", "a URL with a comma can only be given in the file"),
        ("url=https://h,url=https://i", "url is given twice"),
        ("https://hunter2@h/", "must not contain user information"),
        ("channel=x,url=https://u:hunter2@h/", "must not contain user information"),
        ("ftp://h/x", "scheme must be http or https"),
        ("channel=x y,url=https://h", "channel \"x y\" must match"),
        ("url=https://h,unix-socket=s", "unix-socket must be an absolute path"),
        ("url=https://h,http-proxy=socks5://hunter2@p", "proxy URL scheme must be http or https"),
        ("url=https://h,client-cert=/c", "client_cert and client_key must be given together"),
        ("url=https://h,pins=sha256/x", "a URL with a comma can only be given in the file"),
    ] {
        let problem = base().env("MCP_SERVER_URL", line).bad();
        says(&problem, phrase);
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    for (line, phrase) in [
        ("channel=x", "command= is missing"),
        ("channel=x,cmd=y", "expected channel=<name>,command=<command>"),
        ("channel=x,command=sh,url=https://h", "unsupported key url"),
        ("channel=x,command=", "command is empty"),
        ("channel=x,command=sh 'a", "unterminated quoted string"),
        ("channel=x,command=sh a\\", "unterminated escape sequence"),
    ] {
        says(&base().env("MCP_COMMAND", line).bad(), phrase);
    }
    says(&base().yaml("mcp: {commands: [{channel: x}]}").bad(), "command is empty");
    says(
        &base().yaml("mcp: {commands: [{channel: x, command: sh, comand: y}]}").bad(),
        "mcp.commands[0].comand: unknown key \"comand\"; did you mean command?",
    );
}

#[test]
fn case_277_the_channel_harpoon_is_reserved() {
    says(
        &base().env("MCP_SERVER_URL", "channel=Harpoon,url=https://h").bad(),
        "mcp config: mcp.server-url channel \"harpoon\" is reserved",
    );
    says(
        &base().env("MCP_COMMAND", "channel=harpoon,command=sh").bad(),
        "mcp.command channel \"harpoon\" is reserved",
    );
}

#[test]
fn case_278_a_main_channel_is_required_unless_it_is_not_polled_for() {
    says(
        &base().without("MCP_SERVER_URL").bad(),
        "main channel is required; set --mcp.server-url or --mcp.command, or MCP_SERVER_URL or MCP_COMMAND",
    );
    let other = base().env("MCP_SERVER_URL", "channel=x,url=https://h");
    says(
        &other.bad(),
        "main channel is required; add channel=main to one --mcp.server-url or --mcp.command entry",
    );
    let config = other.env("CONTROL_PLANE_POLL_CHANNELS", "x").good();
    assert_eq!(config.worker.control.poll_channels.unwrap(), [Channel::normalise("x").unwrap()]);
}

#[test]
fn case_279_polled_channels_are_canonical_unique_and_served() {
    let with = |value: &str| {
        base().flag("control-plane.poll-channel", "main").flag("control-plane.poll-channel", value)
    };
    says(&with("Main").bad(), "control-plane.poll-channel \"Main\" is not canonical; use \"main\"");
    says(&with("main").bad(), "duplicate control-plane.poll-channel \"main\"");
    says(&with("x").bad(), "control-plane.poll-channel \"x\" has no local handler");
    says(&with("harpoon").bad(), "control-plane.poll-channel harpoon has no routable target");
    says(&with("ä").bad(), "must match ^[a-z0-9_-]{1,64}$");
    let none =
        base().env("MCP_SERVER_URL", "channel=x,url=https://h").env("CONTROL_PLANE_POLL_CHANNELS", "main");
    says(&none.bad(), "control-plane.poll-channel main has no local MCP handler");
    let urls = "https://h\nchannel=b,url=https://h\nchannel=a,url=https://h";
    let config = base().env("MCP_SERVER_URL", urls).env("CONTROL_PLANE_POLL_CHANNELS", "main, b,a").good();
    let polled: Vec<String> =
        config.worker.control.poll_channels.unwrap().into_iter().map(String::from).collect();
    assert_eq!(polled, ["a", "b", "main"]);
}

fn script(dir: &Path) -> String {
    let path = dir.join("srv");
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_command_gets_the_environment_that_is_granted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = format!(
        "mcp:\n  commands:\n  - channel: x\n    command: '{} \"\" a'\n    cwd: {}\n    env: {{A: 1.10, B: 'env:SOURCE', LANG: de}}\n    pass_env: [GRANTED, OPENAI_API_KEY, NOT_SET]\n",
        script(dir.path()),
        dir.path().display()
    );
    let attempt =
        base().yaml(&yaml).env("SOURCE", "s").env("GRANTED", "g").env("OTHER", "o").env("LC_ALL", "C");
    let attempt = attempt.env("LANG", "en").env("HOME", "/h").env("OPENAI_API_KEY", "for the server");
    let config = attempt.good();
    let command = &config.commands[0];
    let env: Vec<(&str, &str)> = command.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        env,
        [
            ("A", "1.10"),
            ("B", "s"),
            ("GRANTED", "g"),
            ("HOME", "/h"),
            ("LANG", "de"),
            ("LC_ALL", "C"),
            ("OPENAI_API_KEY", "for the server"),
            ("PATH", "/usr/bin:/bin"),
        ]
    );
    assert_eq!(command.argv[1..], ["", "a"]);
    assert_eq!(command.cwd, dir.path());
    assert_eq!(config.warnings, ["mcp.commands[0].pass_env[2]: environment variable NOT_SET is not set"]);
    assert!(!format!("{config:?}").contains("for the server"));
}

#[test]
fn the_key_of_the_control_plane_is_not_given_to_a_child() {
    let command = |member: &str| format!("mcp: {{commands: [{{channel: x, command: sh, {member}}}]}}");
    let phrase = "holds the control plane API key and is not given to an MCP server";
    says(&base().yaml(&command("pass_env: [CONTROL_PLANE_API_KEY]")).bad(), phrase);
    says(&base().yaml(&command("env: {K: 'env:CONTROL_PLANE_API_KEY'}")).bad(), phrase);
    let by_flag = base().flag("control-plane.api-key", "env:MY_KEY").env("MY_KEY", "k");
    says(&by_flag.yaml(&command("pass_env: [MY_KEY]")).bad(), phrase);
    let config = base().yaml(&command("serialize: false")).good();
    assert!(!config.commands[0].env.contains_key("CONTROL_PLANE_API_KEY"));
}

#[test]
fn commands_that_cannot_be_started_are_named_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let problem = base().env("MCP_COMMAND", "channel=x,command=no-such-program-here --flag").bad();
    says(
        &problem,
        "program \"no-such-program-here\" was not found; looked in /usr/bin:/bin; fix: install it",
    );
    let path = script(dir.path());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    says(
        &base().env("MCP_COMMAND", &format!("channel=x,command={path}")).bad(),
        &format!("fix: chmod +x {path}"),
    );
    let cwd = |cwd: &str| {
        base().yaml(&format!("mcp: {{commands: [{{channel: x, command: sh, cwd: '{cwd}'}}]}}")).bad()
    };
    says(&cwd("relative"), "must be an absolute path");
    says(&cwd("/etc/passwd"), "is not a directory");
    says(&cwd("/nonexistent"), "cannot be used as a working directory");
}
