use super::*;
use crate::broker::testing::shell;
use crate::config::confinement::Withheld;
use crate::log::Level;

fn add(slots: &mut Slots, script: &str, live: &[u8]) -> Option<u8> {
    let command = shell(script);
    slots.add(&command, command.clone(), &Restart::default(), &live.iter().copied().collect())
}

#[test]
fn a_command_has_its_slot_for_as_long_as_it_is_unchanged_and_needed() {
    let mut slots = Slots::default();
    assert_eq!((add(&mut slots, "a", &[]), add(&mut slots, "b", &[])), (Some(0), Some(1)));
    let mut same = shell("b");
    same.withheld.push(Withheld { level: Level::Info, sentence: "something else is said".into() });
    assert_eq!((slots.find(&same), slots.find(&shell("c"))), (Some(1), None));
    let changes: [fn(&mut Command); 4] = [
        |c| c.env.extend([("X".into(), "1".into())]),
        |c| c.argv.push("more".into()),
        |c| c.cwd = "/usr".into(),
        |c| c.profile.unix_sockets = true,
    ];
    for change in changes {
        let mut changed = shell("b");
        change(&mut changed);
        assert_eq!(slots.find(&changed), None);
    }
    slots.keep_only(&BTreeSet::from([1]));
    assert_eq!((slots.find(&shell("a")), slots.find(&shell("b"))), (None, Some(1)));
}

#[test]
fn a_free_slot_is_used_again_when_its_processes_are_gone_and_its_starts_go_on() {
    let mut slots = Slots::default();
    add(&mut slots, "a", &[]);
    slots.get_mut(0).unwrap().generation = 7;
    slots.keep_only(&BTreeSet::new());
    assert_eq!(add(&mut slots, "b", &[0]), Some(1));
    assert_eq!(add(&mut slots, "c", &[]), Some(0));
    assert_eq!(slots.get(0).unwrap().generation, 7);
}

#[test]
fn the_number_of_slots_is_bounded() {
    let mut slots = Slots::default();
    for n in 0..MAX_SLOTS {
        assert!(add(&mut slots, &n.to_string(), &[]).is_some());
    }
    assert_eq!(add(&mut slots, "more", &[]), None);
}
