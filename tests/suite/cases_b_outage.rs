//! A control plane that is away, or not the one it should be.

use std::time::Duration;

use crate::agent::SOON;
use crate::cases::{assert_answered, echo, number, options, until};
use crate::lab::{ControlPlane, Options, Stub, StubOptions};
use crate::world::{Plan, World};

#[tokio::test]
async fn a_control_plane_that_is_away_at_the_start_is_waited_for() {
    let mut plane = ControlPlane::start(options()).await;
    let stub = Stub::start(StubOptions::default()).await;
    plane.go_down();
    let mut agent = Plan::new().setup(&plane, &stub).start();
    agent.logged(&["poll failed; backing off", "refused"]).await;
    until("it is tried again", || agent.count("poll failed; backing off") >= 3).await;
    assert!(agent.ended(Duration::ZERO).await.is_none(), "a peer never ends the agent");
    plane.come_back().await;
    let world = World { plane, stub, agent };
    assert_answered(&world.call(echo("r1")).await);
    world.agent.logged(&["poller recovered; polling operational"]).await;
    world.plane.assert_clean();
}

#[tokio::test]
async fn an_outage_in_mid_poll_is_noticed_at_once_and_survived() {
    let mut world = World::new().await;
    world.plane.wait_for_poll(2, SOON).await;
    world.plane.go_down();
    world.agent.logged(&["poll failed; backing off"]).await;
    world.plane.come_back().await;
    assert_answered(&world.call(echo("r1")).await);
    let mut waits = Vec::new();
    for line in world.agent.log().iter().filter(|l| l.contains("backing off")) {
        waits.push(number(line, "retry_in_ms"));
    }
    assert!(waits[0] <= 200, "{waits:?}");
    assert_eq!(world.agent.count("poller recovered; polling operational"), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_control_plane_with_an_unknown_certificate_gets_no_request() {
    let plane = ControlPlane::start(options()).await;
    let stub = Stub::start(StubOptions::default()).await;
    // The configuration trusts the authority of another one.
    let other = ControlPlane::start(options()).await;
    let setup = Plan::new().setup(&other, &stub).args(&["--control-plane.base-url", &plane.url()]);
    let mut agent = setup.start();
    let line = agent.logged(&["poll failed; backing off"]).await;
    assert!(line.to_lowercase().contains("certificate"), "{line}");
    until("it is tried again", || plane.server().failed_handshakes() >= 2).await;
    assert_eq!((plane.poll_count(), plane.metadata_requests().len()), (0, 0));
    assert!(agent.ended(Duration::ZERO).await.is_none(), "a peer never ends the agent");
}

#[tokio::test]
async fn a_wrong_key_is_refused_over_and_over_and_never_ends_the_agent() {
    let plane = ControlPlane::start(options()).await;
    let stub = Stub::start(StubOptions::default()).await;
    let other = ControlPlane::start(Options { api_key: "sk-another-key".into(), ..options() }).await;
    let setup = Plan::new().setup(&other, &stub);
    setup.file("ca.pem", &plane.ca_pem());
    let mut agent = setup.args(&["--control-plane.base-url", &plane.url()]).start();
    plane.wait_for_poll(3, SOON).await;
    let line = agent.logged(&["poll failed; backing off", "status_code=401"]).await;
    assert!(line.contains("error_code=invalid_api_key"), "{line}");
    assert!(agent.ended(Duration::ZERO).await.is_none());
    assert_eq!(agent.count("sk-another-key"), 0);
}
