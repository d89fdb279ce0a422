use super::*;

fn entry(id: &str) -> Entry {
    Entry { id: id.into(), token: None, initialize: false, inbox: Arc::new(Inbox::new(1)) }
}

fn add(table: &mut Table, id: &str) -> u64 {
    let number = table.issue();
    table.insert(number, entry(id));
    number
}

#[test]
fn case_202_a_reused_id_gets_a_number_of_its_own() {
    let mut table = Table::default();
    let first = add(&mut table, "1");
    table.abandon(first, true);
    let second = add(&mut table, "1");
    assert_ne!(first, second);
    assert!(matches!(table.answered(first), Found::Retired));
    assert!(matches!(table.answered(first), Found::Unknown));
    assert!(matches!(table.answered(second), Found::Waiting(e) if e.id == "1"));
}

#[test]
fn case_203_retired_numbers_are_bounded_and_the_oldest_is_forgotten() {
    let mut table = Table::default();
    for n in 0..=MAX_RETIRED {
        let number = add(&mut table, &n.to_string());
        table.abandon(number, true);
    }
    assert_eq!(table.retired.len(), MAX_RETIRED);
    assert!(matches!(table.answered(1), Found::Unknown));
    assert!(matches!(table.answered(2), Found::Retired));
}

#[test]
fn a_request_that_was_never_written_leaves_no_trace() {
    let mut table = Table::default();
    let number = add(&mut table, "1");
    table.abandon(number, false);
    assert!(matches!(table.answered(number), Found::Unknown));
}

#[test]
fn an_id_that_two_callers_use_names_no_request() {
    let mut table = Table::default();
    let number = add(&mut table, "100");
    assert_eq!(table.only("1e2"), Some(number));
    add(&mut table, "100");
    assert_eq!(table.only("100"), None);
    assert_eq!(table.only("\"100\""), None);
}
