//! The key exchange that is agreed on with servers that know the post-quantum hybrid and with those that do not, and the
//! version of TLS.

use http::Response;
use rustls::NamedGroup;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
use rustls::version::{TLS12, TLS13};

use crate::agent::eventually;
use crate::lab::Ca;
use crate::lab::body::Body;
use crate::lab::server::{Listen, Server};
use crate::tls_peers::agent_at;

/// What an agent with these lines agrees on with a server that knows these groups, in its order of preference.
async fn agreed(
    groups: &[&'static dyn SupportedKxGroup],
    versions: &[&'static rustls::SupportedProtocolVersion],
    top: &str,
) -> (String, String) {
    let ca = Ca::new();
    let config = ca.server().narrow_config(versions, groups);
    let listen = Listen { tls: Some(config), http2: false, port: 0, host: None };
    let server = Server::start(listen, |_, _| async {
        Some(Response::builder().status(204).body(Body::empty()).unwrap())
    });
    let server = server.await.unwrap();
    let agent = agent_at(&format!("https://{}", server.addr), &ca.pem(), "", top).start();
    let seen = eventually(|| server.connections().first().cloned()).await;
    let seen = seen.unwrap_or_else(|| panic!("no connection:\n{}", agent.log().join("\n")));
    drop(agent);
    (seen.key_exchange.clone().unwrap(), seen.tls.clone().unwrap())
}

#[tokio::test]
async fn the_hybrid_is_agreed_on_with_whoever_knows_it_and_a_curve_with_others() {
    let all: [&'static dyn SupportedKxGroup; 4] = [X25519, SECP256R1, SECP384R1, X25519MLKEM768];
    let name = |group: NamedGroup| format!("{group:?}");
    for (groups, expected) in [
        (vec![X25519MLKEM768], NamedGroup::X25519MLKEM768),
        (vec![X25519MLKEM768, X25519], NamedGroup::X25519MLKEM768),
        (vec![X25519], NamedGroup::X25519),
        // These take a second first message.
        (vec![SECP256R1], NamedGroup::secp256r1),
        (vec![SECP384R1], NamedGroup::secp384r1),
    ] {
        let (group, version) = agreed(&groups, &[&TLS13], "").await;
        assert_eq!((group, version.as_str()), (name(expected), "TLSv1_3"), "{groups:?}");
    }
    let (group, _) = agreed(&all, &[&TLS13], "tls: {post_quantum: off}\n").await;
    assert_eq!(group, name(NamedGroup::X25519));
}

#[tokio::test]
async fn the_newest_version_is_agreed_on_also_where_an_older_one_is_allowed() {
    let old = "tls: {min_version: \"1.2\"}\n";
    for (versions, expected) in [(&[&TLS13, &TLS12][..], "TLSv1_3"), (&[&TLS12], "TLSv1_2")] {
        assert_eq!(agreed(&[X25519], versions, old).await.1, expected);
    }
}
