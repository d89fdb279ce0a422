//! The table of settings: one row for each, with its path in the file, its flag, its variable and its standing.
//!
//! Pure data. The reader of the file takes what is legal from here, the command line its flags, the checks their
//! names. The names are those of `tunnel-client`; rows without flag and variable are our own and come from the
//! file only.

/// What this version does with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Read and acted upon.
    Used,
    /// Validated and accepted; without effect in this version, which is said when the value is not this default.
    Inert(Option<&'static str>),
    /// Accepted: of the channel `harpoon`, which this version does not serve. That is said; its calls are answered with 501.
    Unserved,
    /// Of the full client: accepted at this default, refused otherwise.
    FullClient(&'static str),
    /// Of the cloudflared flavours: refused when present.
    Cloudflared,
}

/// What a setting looks like on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One,
    /// One truth value; the flag alone means `true`.
    Switch,
    /// Many values.
    Many,
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The dotted path in the file; empty when there is none.
    pub yaml: &'static str,
    /// The flag without its dashes; empty when there is none.
    pub flag: &'static str,
    /// The environment variable; empty when there is none.
    pub env: &'static str,
    /// How it is given.
    pub shape: Shape,
    /// What becomes of it.
    pub standing: Standing,
}

impl Key {
    /// The dotted name that messages use: that of the flag where there is one.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.flag.is_empty() { self.yaml } else { self.flag }
    }
}

macro_rules! keys {
    ($($name:ident: $yaml:literal, $flag:literal, $env:literal, $shape:ident, $standing:expr;)*) => {
        $(
            #[doc = concat!("`", $yaml, "`, `--", $flag, "`, `", $env, "`.")]
            pub const $name: Key =
                Key { yaml: $yaml, flag: $flag, env: $env, shape: Shape::$shape, standing: $standing };
        )*
        /// Every setting there is.
        pub static ALL: &[Key] = &[$($name),*];
    };
}

use Standing::{Cloudflared, FullClient, Inert, Unserved, Used};

keys! {
    CONFIG: "", "config", "TUNNEL_CLIENT_CONFIG", One, Used;
    PROFILE: "", "profile", "TUNNEL_CLIENT_PROFILE", One, Used;
    PROFILE_FILE: "", "profile-file", "TUNNEL_CLIENT_PROFILE_FILE", One, Used;
    PROFILE_DIR: "", "profile-dir", "TUNNEL_CLIENT_PROFILE_DIR", One, Used;
    CONFIG_VERSION: "config_version", "", "", One, Used;

    BASE_URL: "control_plane.base_url", "control-plane.base-url", "CONTROL_PLANE_BASE_URL", One, Used;
    URL_PATH: "control_plane.url_path", "control-plane.url-path", "CONTROL_PLANE_URL_PATH", One, Used;
    TUNNEL_ID: "control_plane.tunnel_id", "control-plane.tunnel-id", "CONTROL_PLANE_TUNNEL_ID", One, Used;
    ORGANIZATION_ID: "control_plane.organization_id", "control-plane.organization-id", "CONTROL_PLANE_ORGANIZATION_ID", One, Used;
    API_KEY: "control_plane.api_key", "control-plane.api-key", "CONTROL_PLANE_API_KEY", One, Used;
    CONTROL_CLIENT_CERT: "control_plane.client_cert", "control-plane.client-cert", "CONTROL_PLANE_CLIENT_CERT", One, Used;
    CONTROL_CLIENT_KEY: "control_plane.client_key", "control-plane.client-key", "CONTROL_PLANE_CLIENT_KEY", One, Used;
    CONTROL_HTTP_PROXY: "control_plane.http_proxy", "control-plane.http-proxy", "CONTROL_PLANE_HTTP_PROXY", One, Used;
    MAX_INFLIGHT: "control_plane.max_inflight_requests", "control-plane.max-inflight", "CONTROL_PLANE_MAX_INFLIGHT_REQUESTS", One, Used;
    POLL_TIMEOUT: "control_plane.poll_timeout", "control-plane.poll-timeout", "CONTROL_PLANE_POLL_TIMEOUT", One, Used;
    POLL_GUARDRAIL: "control_plane.poll_deadline_guardrail", "control-plane.poll-deadline-guardrail", "CONTROL_PLANE_POLL_DEADLINE_GUARDRAIL", One, Used;
    POLL_CHANNELS: "control_plane.poll_channels", "control-plane.poll-channel", "CONTROL_PLANE_POLL_CHANNELS", Many, Used;
    CONTROL_EXTRA_HEADERS: "control_plane.extra_headers", "control-plane.extra-headers", "CONTROL_PLANE_EXTRA_HEADERS", Many, Used;

    CA_BUNDLE: "ca_bundle", "ca-bundle", "CA_BUNDLE", One, Used;
    HTTP_PROXY: "http_proxy", "http-proxy", "TUNNEL_CLIENT_HTTP_PROXY", One, Used;

    LOG_LEVEL: "log.level", "log.level", "LOG_LEVEL", One, Used;
    LOG_FORMAT: "log.format", "log.format", "LOG_FORMAT", One, Used;
    LOG_FILE: "log.file", "log.file", "LOG_FILE", One, Used;
    LOG_HTTP_RAW_UNSAFE: "log.http_raw_unsafe", "log.http-raw-unsafe", "LOG_HTTP_RAW_UNSAFE", Switch, Used;

    HEALTH_LISTEN_ADDR: "health.listen_addr", "health.listen-addr", "HEALTH_LISTEN_ADDR", One, Used;
    HEALTH_UNIX_SOCKET: "health.unix_socket", "health.unix-socket", "HEALTH_UNIX_SOCKET", One, Used;
    HEALTH_URL_FILE: "health.url_file", "health.url-file", "HEALTH_URL_FILE", One, Used;
    HEALTH_SHOW_DETAILS: "health.show_details", "health.show-details", "HEALTH_SHOW_DETAILS", Switch, Used;
    PID_FILE: "process.pid_file", "pid.file", "PID_FILE", One, Used;

    MCP_SERVER_URLS: "mcp.server_urls", "mcp.server-url", "MCP_SERVER_URL", Many, Used;
    MCP_COMMANDS: "mcp.commands", "mcp.command", "MCP_COMMAND", Many, Used;
    MCP_HTTP_PROXY: "mcp.http_proxy", "mcp.http-proxy", "MCP_HTTP_PROXY", One, Used;
    MCP_CLIENT_CERT: "mcp.client_cert", "mcp.client-cert", "MCP_CLIENT_CERT", One, Used;
    MCP_CLIENT_KEY: "mcp.client_key", "mcp.client-key", "MCP_CLIENT_KEY", One, Used;
    MCP_EXTRA_HEADERS: "mcp.extra_headers", "mcp.extra-headers", "MCP_EXTRA_HEADERS", Many, Used;
    MCP_DISCOVERY_EXTRA_HEADERS: "mcp.discovery_extra_headers", "mcp.discovery-extra-headers", "MCP_DISCOVERY_EXTRA_HEADERS", Many, Used;
    MCP_STARTUP_WAIT_TIMEOUT: "mcp.startup_wait_timeout", "mcp.startup-wait-timeout", "MCP_STARTUP_WAIT_TIMEOUT", One, Used;
    MCP_CONNECTION_MAX_TTL: "mcp.connection_max_ttl", "mcp.connection-max-ttl", "MCP_CONNECTION_MAX_TTL", One, Used;
    MCP_MAX_CONCURRENT: "mcp.max_concurrent_requests", "mcp.max-concurrent-requests", "MCP_MAX_CONCURRENT_REQUESTS", One, Used;
    MCP_STDIO_INITIALIZED: "mcp.stdio_send_initialized_notification", "mcp.stdio-send-initialized-notification", "MCP_STDIO_SEND_INITIALIZED_NOTIFICATION", Switch, Used;

    HARPOON_TARGETS: "harpoon.targets", "harpoon.target", "HARPOON_TARGETS", Many, Unserved;
    HARPOON_ALLOW_PLAINTEXT: "harpoon.allow_plaintext_http", "harpoon.allow-plaintext-http", "HARPOON_ALLOW_PLAINTEXT_HTTP", Switch, Inert(Some("false"));
    HARPOON_MAX_RESPONSE: "harpoon.max_response_bytes", "harpoon.max-response-bytes", "HARPOON_MAX_RESPONSE_BYTES", One, Inert(Some("102400"));
    HARPOON_MAX_REDIRECTS: "harpoon.max_redirects", "harpoon.max-redirects", "HARPOON_MAX_REDIRECTS", One, Inert(Some("5"));
    HARPOON_HTTP_PROXY: "harpoon.http_proxy", "harpoon.http-proxy", "HARPOON_HTTP_PROXY", One, Unserved;
    HARPOON_ADDITIONAL_TRANSPORTS: "harpoon.additional_transports", "harpoon.additional-transport", "HARPOON_ADDITIONAL_TRANSPORTS", Many, Unserved;
    HARPOON_HOSTS_SUFFIX: "harpoon.hosts_include_suffix", "harpoon.hosts-include-suffix", "HARPOON_HOSTS_INCLUDE_SUFFIX", Many, Inert(None);
    HARPOON_HOSTS_REGEX: "harpoon.hosts_include_regex", "harpoon.hosts-include-regex", "HARPOON_HOSTS_INCLUDE_REGEX", Many, Inert(None);
    HARPOON_HOSTS_LOOPBACK: "harpoon.hosts_include_loopback", "harpoon.hosts-include-loopback", "HARPOON_HOSTS_INCLUDE_LOOPBACK", Switch, Inert(Some("true"));
    HARPOON_HOSTS_PRIVATE: "harpoon.hosts_include_private", "harpoon.hosts-include-private", "HARPOON_HOSTS_INCLUDE_PRIVATE", Switch, Inert(Some("true"));

    PROXY_CHECK_INTERVAL: "proxy.check_interval", "proxy.check-interval", "PROXY_CHECK_INTERVAL", One, Used;

    HARPOON_CAPTURE: "harpoon.capture_payloads", "", "HARPOON_CAPTURE_PAYLOADS", Switch, FullClient("false");
    ALLOW_REMOTE_UI: "admin_ui.allow_remote", "", "ALLOW_REMOTE_UI", Switch, FullClient("false");
    OPEN_WEB_UI: "admin_ui.open_browser", "", "OPEN_WEB_UI", Switch, FullClient("false");
    LOG_BUFFER_EVENTS: "admin_ui.log_buffer_events", "", "ADMIN_UI_LOG_BUFFER_EVENTS", One, FullClient("2000");

    CLOUDFLARED_TOKEN: "cloudflared.token", "", "CLOUDFLARED_TUNNEL_TOKEN", One, Cloudflared;
    CLOUDFLARED_MANAGED: "cloudflared.managed", "", "CLOUDFLARED_MANAGED", Switch, Cloudflared;
    CLOUDFLARED_PATH: "cloudflared.path", "", "CLOUDFLARED_PATH", One, Cloudflared;
    CLOUDFLARED_READY_TIMEOUT: "cloudflared.ready_timeout", "", "CLOUDFLARED_READY_TIMEOUT", One, Cloudflared;

    PROXY_CLIENT_CERT: "proxy.client_cert", "", "", One, Used;
    PROXY_CLIENT_KEY: "proxy.client_key", "", "", One, Used;
    CONTROL_FINGERPRINT: "control_plane.client_cert_fingerprint", "", "", One, Used;
    CONTROL_PINS: "control_plane.pins", "", "", Many, Used;
    CONTROL_SINGLE_PIN: "control_plane.allow_single_pin", "", "", Switch, Used;
    CONTROL_BUNDLE_ONLY: "control_plane.ca_bundle_only", "", "", Switch, Used;
    TLS_MIN_VERSION: "tls.min_version", "", "", One, Used;
    TLS_POST_QUANTUM: "tls.post_quantum", "", "", One, Used;

    HEALTH_ENABLED: "health.enabled", "", "", Switch, Used;
    HEALTH_ALLOW_REMOTE: "health.allow_remote", "", "", Switch, Used;
    DRAIN_TIMEOUT: "drain_timeout", "", "", One, Used;
    POLL_GRACE: "poll_grace", "", "", One, Used;
    RELOAD_INTERVAL: "reload_interval", "", "", One, Used;
    LIMIT_POLL_BODY: "limits.poll_body_bytes", "", "", One, Used;
    LIMIT_ANSWER: "limits.answer_bytes", "", "", One, Used;
    LIMIT_IN_FLIGHT: "limits.in_flight_bytes", "", "", One, Used;
    RESTART_TIMES: "restart.times", "", "", One, Used;
    RESTART_WINDOW: "restart.window", "", "", One, Used;
    RESTART_BACKOFF_MIN: "restart.backoff_min", "", "", One, Used;
    RESTART_BACKOFF_MAX: "restart.backoff_max", "", "", One, Used;
    CONFINEMENT_REQUIRE: "confinement.require", "", "", One, Used;
    CONFINEMENT_USER: "confinement.user", "", "", One, Used;
    CONFINEMENT_GROUP: "confinement.group", "", "", One, Used;
    CONFINEMENT_ON_VIOLATION: "confinement.on_violation", "", "", One, Used;
    AUDIT_PATH: "audit.path", "", "", One, Used;
    AUDIT_ROTATION_SIZE: "audit.rotation.size", "", "", One, Used;
    AUDIT_ROTATION_AGE: "audit.rotation.age", "", "", One, Used;
    AUDIT_ROTATION_FILES: "audit.rotation.files", "", "", One, Used;
    AUDIT_DURABILITY: "audit.durability", "", "", One, Used;
    AUDIT_ON_FAILURE: "audit.on_failure", "", "", One, Used;
    AUDIT_KEY: "audit.key", "", "", One, Used;
    AUDIT_CHECKPOINTS: "audit.checkpoints", "", "", One, Used;
    POLICY: "policy", "", "", One, Used;
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
