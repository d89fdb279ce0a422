use std::time::Duration;

use super::*;
use crate::config::types::{HttpUrl, Mcp};
use crate::log::Log;
use crate::mcp::http_leg::Http;
use crate::mcp::stdio::{Stdio, StdioEvent};
use tokio::sync::mpsc;

/// The lane `main` of a server that is really there.
pub(in crate::worker) fn lane_to(origin: &str) -> Arc<Lane> {
    lane_at(&format!("{origin}/mcp"), "main", 20)
}

fn lane(name: &str, capacity: usize) -> Arc<Lane> {
    lane_at("http://127.0.0.1:9/mcp", name, capacity)
}

/// The lane `main` of a server that is started when somebody asks for it.
pub(in crate::worker) fn lane_of_stdio(events: mpsc::UnboundedSender<StdioEvent>) -> Arc<Lane> {
    let (channel, log) = (Channel::main(), Log::memory().0);
    let stdio = Stdio::new(0, false, &mcp(), &Limits::default(), events, log, channel.clone());
    Arc::new(Lane::new(channel, Upstream::Stdio(stdio), 20, 10))
}

fn mcp() -> Mcp {
    Mcp {
        extra_headers: Vec::new(),
        startup_wait: Duration::ZERO,
        connection_max_ttl: Duration::from_secs(600),
        max_concurrent_requests: 10,
        stdio_send_initialized: false,
    }
}

fn lane_at(url: &str, name: &str, capacity: usize) -> Arc<Lane> {
    let url = HttpUrl::try_from(url.to_string()).unwrap();
    let tls = crate::tls::client_config(None).unwrap();
    let way = crate::net::Way::direct();
    let http = Http::new(&url, None, &mcp(), &Limits::default(), tls, way, Log::memory().0);
    Arc::new(Lane::new(Channel::normalise(name).unwrap(), Upstream::Http(Box::new(http)), capacity, 10))
}

fn lanes(lanes: Vec<Arc<Lane>>) -> Arc<Lanes> {
    Arc::new(Lanes::new(lanes, None, &Limits::default()))
}

fn names(room: &Room) -> Vec<&str> {
    room.channels.iter().flatten().map(Channel::as_str).collect()
}

#[test]
fn case_033_the_limit_is_the_free_room_but_at_most_25() {
    let small = lanes(vec![lane("main", 20)]);
    assert_eq!(small.room(), Some(Room { limit: 20, channels: None, partial: false }));
    let large = lanes(vec![lane("main", 100)]);
    assert_eq!(large.room().unwrap().limit, 25);
}

#[tokio::test]
async fn case_034_a_full_lane_stops_the_poll_until_a_place_is_free() {
    let lanes = lanes(vec![lane("main", 20)]);
    let main = Arc::clone(lanes.get("main").unwrap());
    let mut places: Vec<Waiting> = (0..18).map(|_| lanes.wait_in(&main)).collect();
    assert_eq!(lanes.room().unwrap().limit, 2);
    places.extend((0..2).map(|_| lanes.wait_in(&main)));
    assert_eq!(lanes.room(), None);
    let freed = tokio::spawn({
        let lanes = Arc::clone(&lanes);
        async move { lanes.freed().await }
    });
    drop(places.pop());
    tokio::time::timeout(Duration::from_secs(1), freed).await.unwrap().unwrap();
    assert_eq!(lanes.room().unwrap().limit, 1);
}

#[test]
fn a_full_lane_is_left_out_of_the_poll_and_the_others_are_not() {
    let lanes = lanes(vec![lane("stuck", 2), lane("b", 20), lane("a", 20)]);
    let stuck = Arc::clone(lanes.get("stuck").unwrap());
    let places = [lanes.wait_in(&stuck), lanes.wait_in(&stuck)];
    let room = lanes.room().unwrap();
    assert!(room.partial);
    assert_eq!((room.limit, names(&room)), (20, vec!["a", "b"]));
    drop(places);
    assert_eq!(lanes.room(), Some(Room { limit: 2, channels: None, partial: false }));
}

#[test]
fn a_filter_never_names_a_channel_outside_the_allowlist() {
    let channel = |name: &str| Channel::normalise(name).unwrap();
    let lanes = vec![lane("a", 1), lane("b", 1), lane("c", 1)];
    let lanes = Arc::new(Lanes::new(lanes, Some(vec![channel("a"), channel("b")]), &Limits::default()));
    assert_eq!(names(&lanes.room().unwrap()), ["a", "b"]);
    let _full = lanes.wait_in(&Arc::clone(lanes.get("a").unwrap()));
    assert_eq!(names(&lanes.room().unwrap()), ["b"]);
    let _full = lanes.wait_in(&Arc::clone(lanes.get("b").unwrap()));
    assert_eq!(lanes.room(), None);
}

#[test]
fn payloads_in_flight_stop_the_poll() {
    let limits = Limits { in_flight_bytes: 100, ..Limits::default() };
    let lanes = Arc::new(Lanes::new(vec![lane("main", 20)], None, &limits));
    let mut held = lanes.hold(60);
    assert!(lanes.room().is_some());
    held.grow(40);
    assert_eq!(lanes.room(), None);
    drop(held);
    assert!(lanes.room().is_some());
}

#[test]
fn undelivered_answers_of_the_agents_own_stop_the_poll() {
    let lanes = lanes(vec![lane("main", 20)]);
    let answers: Vec<Local> = (0..LOCAL_ANSWERS).map(|_| lanes.local_answer()).collect();
    assert_eq!(lanes.room(), None);
    drop(answers);
    assert!(lanes.room().is_some());
}

#[test]
fn the_number_of_commands_held_is_bounded_whatever_the_channels_allow() {
    let lanes = lanes(vec![lane("main", 10_000)]);
    let held: Vec<Held> = (0..MAX_JOBS).map(|_| lanes.hold(0)).collect();
    assert_eq!(lanes.room(), None);
    drop(held);
    assert!(lanes.room().is_some());
}
