//! What can go wrong between this machine and a peer, in words: why, and the step that mends it. Data.

/// Why a peer cannot be met, by the code and a part of the detail, and the step that mends it. The names of settings are put
/// in the place of words with a `%`.
pub const FAILURES: &[(&str, &str, &str, &str)] = &[
    (
        "Dns",
        "",
        "its name cannot be resolved",
        "set %url to <URL>%in\nor see that the name servers of /etc/resolv.conf know %at",
    ),
    (
        "Refused",
        "",
        "nobody listens there, or a firewall says so",
        "start what should listen at %at, or let this machine connect to it",
    ),
    (
        "Timeout",
        "",
        "nothing came in time; a firewall may drop it",
        "let this machine connect to %at, or set %proxy to <PROXY_URL>%in",
    ),
    (
        "Blocked",
        "",
        "the address is one that is never connected to: link-local, or of a cloud's metadata",
        "set %url to <URL>%in",
    ),
    (
        "NotAllowed",
        "",
        "its address is in none of the networks of allowed_ips",
        "add <NETWORK> to %addresses%in\nwhich is one that %at is in",
    ),
    (
        "Pin",
        "",
        "its key is none of the pinned ones",
        "set %pins to <PINS>%in\nwhich are those that this shows, once you have made sure of them:\nrun: tunnelward pin %at%config",
    ),
    (
        "Tls",
        "unknown issuer",
        "it shows a certificate of an authority that is not believed: a private one, or that of a proxy that opens TLS",
        "set %ca to <CA_BUNDLE>%in",
    ),
    ("Tls", "not valid for the name", "it shows a certificate for another name", "set %url to <URL>%in"),
    (
        "Tls",
        "has expired",
        "its certificate has ended, or the clock of this machine is ahead",
        "have the certificate of %at renewed, or set the clock",
    ),
    (
        "Tls",
        "not valid yet",
        "its certificate has not begun, or the clock of this machine is behind",
        "set the clock of this machine",
    ),
    (
        "Tls",
        "requires a client certificate",
        "it asks for a certificate of ours",
        "set %certificate to <CLIENT_CERT>%in\nset %key to <CLIENT_KEY>%in",
    ),
    (
        "Tls",
        "refused the TLS connection",
        "it does not accept the certificate of ours, or that there is none",
        "set %certificate to <CLIENT_CERT>%in\nset %key to <CLIENT_KEY>%in",
    ),
    ("Tls", "no version of TLS", "it speaks no TLS 1.3", "set tls.min_version to \"1.2\"%in"),
    ("Tls", "does not speak TLS", "what listens there speaks no TLS", "set %url to <URL>%in"),
    (
        "ProxyAuth",
        "",
        "the proxy wants a user name and a password, or others",
        "set %proxy to <PROXY_URL>%in",
    ),
    (
        "ProxyRefused",
        "",
        "the rules of the proxy do not let it connect there, or it cannot",
        "let the proxy connect to %at",
    ),
    ("Via", "", "the proxy cannot be used", "set %proxy to <PROXY_URL>%in"),
    (
        "",
        "",
        "the connection did not come about or broke off",
        "see that %at can be reached from this machine",
    ),
];

/// What the control plane says, by its status.
pub const ANSWERS: &[(&str, &str, &str)] = &[
    (
        "401",
        "the control plane does not know the API key, or no longer",
        "set control_plane.api_key to <API_KEY_REFERENCE>%in",
    ),
    (
        "403",
        "the API key is known, but lacks the permission Tunnels: Read and Use for this tunnel, or is of another organization",
        "grant Tunnels: Read and Use to the key's role at %page",
    ),
    (
        "404",
        "there is no such tunnel, or the organization of the API key has not got it",
        "set control_plane.tunnel_id to <TUNNEL_ID>%in",
    ),
    ("429", "the control plane takes no more requests for now", "wait a minute and run this again"),
    (
        "Body",
        "what answers there is not a control plane: its answer is no record of a tunnel",
        "set control_plane.base_url to <URL>%in",
    ),
    ("", "the control plane answers with a failure of its own", "wait a minute and run this again"),
];
