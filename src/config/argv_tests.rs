use super::*;

fn normal(arguments: &[&str]) -> Result<Vec<String>, String> {
    let owned: Vec<String> = arguments.iter().map(|a| (*a).to_string()).collect();
    normalise(&owned).map_err(|e| e.to_string())
}

#[test]
fn case_286_dotted_and_hyphenated_flags_are_the_same() {
    let kebab = ["--control-plane-tunnel-id", "x"];
    assert_eq!(normal(&["--control-plane.tunnel-id", "x"]).unwrap(), kebab);
    assert_eq!(normal(&["--control-plane-tunnel-id", "x"]).unwrap(), kebab);
    assert_eq!(normal(&["--control-plane.tunnel-id=x"]).unwrap(), kebab);
    assert_eq!(normal(&["--control-plane-tunnel-id=x"]).unwrap(), kebab);
    assert_eq!(normal(&["--pid.file=/x"]).unwrap(), ["--pid-file", "/x"]);
}

#[test]
fn values_are_taken_as_they_are() {
    assert_eq!(normal(&["--mcp.command", "--x=y -z"]).unwrap(), ["--mcp-command", "--x=y -z"]);
    assert_eq!(normal(&["--mcp.command=a=b"]).unwrap(), ["--mcp-command", "a=b"]);
    assert_eq!(normal(&["--url-x"]).unwrap_err(), "unknown flag: --url-x");
    assert_eq!(normal(&["--control-plane.url-path="]).unwrap(), ["--control-plane-url-path", ""]);
    assert_eq!(normal(&["--config"]).unwrap_err(), "flag needs an argument: --config");
}

#[test]
fn a_switch_stands_for_true_and_does_not_take_the_next_argument() {
    let name = "--harpoon-allow-plaintext-http";
    assert_eq!(normal(&["--harpoon.allow-plaintext-http", "x"]).unwrap(), [name, "true", "x"]);
    assert_eq!(normal(&["--harpoon.allow-plaintext-http=false"]).unwrap(), [name, "false"]);
}

#[test]
fn case_285_flags_of_other_flavours_are_unknown() {
    for flag in ["--open-web-ui", "--cloudflared.token", "--allow-remote-ui", "--embedded-mcp-stub", "-x"] {
        assert_eq!(normal(&[flag]).unwrap_err(), format!("unknown flag: {flag}"));
        assert_eq!(normal(&[&format!("{flag}=secret")]).unwrap_err(), format!("unknown flag: {flag}"));
    }
}

#[test]
fn other_arguments_pass() {
    assert_eq!(normal(&["x", "-h", "--", "--config"]).unwrap(), ["x", "--help", "--", "--config"]);
}
