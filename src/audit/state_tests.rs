use super::*;

fn state() -> State {
    let mut state = State::begin(Key::new([9; 32]), u64::MAX);
    state.chain.sequence = u64::MAX;
    state.offset = u64::MAX;
    state.file = u64::MAX;
    state
}

#[test]
fn it_is_read_as_it_was_written_and_always_one_block() {
    let block = state().render();
    assert_eq!(block.len(), SIZE);
    // The vector was never moved to where there is more room: no copy of the key is left behind.
    assert_eq!(block.capacity(), SIZE);
    assert_eq!(State::read(&block), Ok(state()));
}

#[test]
fn any_changed_byte_of_it_is_found() {
    let block = state().render();
    let content = block.iter().rposition(|b| !b.is_ascii_whitespace()).unwrap();
    for at in 0..=content {
        let mut changed = block.to_vec();
        changed[at] ^= 1;
        assert!(State::read(&changed).is_err(), "byte {at}");
        assert!(State::read(&block[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_newer_one_is_refused_by_its_number() {
    let newer = b"version: 2\nanything: true\n";
    assert_eq!(State::read(newer), Err(Damaged::Newer(2)));
    assert!(Damaged::Newer(2).to_string().contains("version 2"));
}

#[test]
fn the_next_file_has_another_key_for_digests_and_the_same_chain() {
    let (before, mut after) = (state(), State { file: 1, ..state() });
    after.next_file(5);
    assert_ne!(after.digests, before.digests);
    assert_eq!((after.chain, after.file, after.offset, after.begun), (before.chain, 2, 0, 5));
}
