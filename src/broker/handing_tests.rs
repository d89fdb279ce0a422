use super::*;
use crate::broker::testing::{images, shell};
use crate::config::types::Restart;
use crate::ipc::msg::Handshake;
use crate::log::Log;

const OLD: WorkerId = WorkerId(1);
const NEW: WorkerId = WorkerId(2);
const SERVER: Id = Id { index: 0, generation: 1 };

/// One real server, and a table of who may have it.
struct House(Children);

impl House {
    fn new() -> Self {
        let mut children = Children::new(images(), 4, Log::memory().0);
        let command = shell("exec cat");
        let slot = children.add(&command, command.clone(), &Restart::default()).unwrap();
        children.begin(&[slot], Instant::now()).unwrap();
        Self(children)
    }

    /// What is said when these workers serve, the last of them as the current one; descriptors are dropped.
    fn says(&mut self, users: &[WorkerId]) -> Vec<String> {
        let user = |id: &WorkerId| User { id: *id, slots: vec![0], is_current: users.last() == Some(id) };
        let users: Vec<User> = users.iter().map(user).collect();
        let said = |(to, id, about): (WorkerId, Id, About)| {
            assert_eq!(id, SERVER);
            match about {
                About::Given(era, carried, _) => {
                    format!("{to:?} given {era:?} {}", carried.map_or(0, |c| c.last))
                }
                other => format!("{to:?} {other:?}"),
            }
        };
        self.0.hand_out(&users).into_iter().map(said).collect()
    }

    fn want(&mut self, era: Era, seen: u32, by: WorkerId) -> bool {
        self.0.want(0, era, seen, by, Instant::now())
    }

    fn returned(&mut self, by: WorkerId, era: Option<Era>, last: u64) {
        let carried = Carried { last, handshake: Handshake::Ready, ..Carried::default() };
        self.0.returned(SERVER, by, era, carried);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.0.kill_all();
    }
}

#[test]
fn a_server_goes_to_whoever_needs_it_with_what_is_known_of_it_and_to_one_at_a_time() {
    let mut house = House::new();
    assert_eq!(house.says(&[]), [""; 0]);
    assert_eq!(house.says(&[OLD]), ["WorkerId(1) given None 0"]);
    assert_eq!(house.says(&[OLD, NEW]), [""; 0], "it stays where it is until it is needed");
    assert!(house.want(Era::Session, 0, NEW), "it is elsewhere");
    assert_eq!(house.says(&[OLD, NEW]), ["WorkerId(1) Return"]);
    assert_eq!(house.says(&[OLD, NEW]), [""; 0], "it is asked for once");
    // The old one has another call, and gets it again after the new one.
    assert!(house.want(Era::Session, 1, OLD));
    house.returned(OLD, Some(Era::Session), 5);
    assert_eq!(house.says(&[OLD, NEW]), ["WorkerId(2) given Some(Session) 5"]);
    assert_eq!(house.says(&[OLD, NEW]), ["WorkerId(2) Return"]);
    // It ends before that.
    house.0.abandon(OLD, Instant::now());
    assert_eq!(house.says(&[NEW]), ["WorkerId(2) Keep"]);
    assert!(house.0.live.iter().all(|child| !child.is_stopping()));
    house.0.abandon(NEW, Instant::now());
    assert!(house.0.live.iter().all(|child| child.is_stopping()), "its user is dead");
}

#[test]
fn a_server_is_not_given_to_whoever_has_just_given_it_back_unless_it_asks() {
    let mut house = House::new();
    house.says(&[OLD]);
    house.returned(OLD, Some(Era::Session), 5);
    assert_eq!(house.says(&[OLD]), [""; 0], "it is about to end");
    assert!(!house.want(Era::Session, 1, OLD));
    assert_eq!(house.says(&[OLD]), ["WorkerId(1) given Some(Session) 5"]);
    house.returned(OLD, Some(Era::Session), 6);
    assert_eq!(house.says(&[NEW]), ["WorkerId(2) given Some(Session) 6"]);
}

#[test]
fn what_is_returned_or_lost_by_somebody_else_has_no_effect() {
    let mut house = House::new();
    house.says(&[OLD]);
    house.returned(NEW, Some(Era::Session), 5);
    house.0.lost(SERVER, NEW, Instant::now());
    assert!(house.0.live.iter().all(|child| child.holder == Some(OLD) && !child.is_stopping()));
    house.0.lost(SERVER, OLD, Instant::now());
    house.returned(OLD, None, 5);
    assert!(house.0.live.iter().all(|child| child.is_stopping() && child.carried.is_none()));
}

#[test]
fn a_server_of_the_other_era_is_not_asked_back() {
    let mut house = House::new();
    house.says(&[OLD]);
    house.returned(OLD, Some(Era::Stateless), 1);
    assert!(!house.want(Era::Stateless, 1, OLD));
    assert_eq!(house.says(&[OLD]), ["WorkerId(1) given Some(Stateless) 1"]);
    assert!(!house.want(Era::Session, 0, NEW), "one is started instead");
    assert_eq!(house.says(&[OLD, NEW]), [""; 0]);
    assert_eq!(house.0.planned.len(), 1);
}
