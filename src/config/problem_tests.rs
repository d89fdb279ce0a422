use super::*;

#[test]
fn a_problem_is_one_line_with_all_its_parts() {
    let place = Place { file: Some(Path::new("/p.yaml").into()), line: Some(3), path: "log.level".into() };
    let problem = Problem::new(&place, "must be a\nb").found("\"c\"").hint("try d");
    assert_eq!(problem.to_string(), "/p.yaml:3: log.level: must be a b; found \"c\"; try d");
    assert_eq!(Problem::new(&Place::named("--x"), "y").to_string(), "--x: y");
}

#[test]
fn shown_values_are_escaped_and_cut_and_keys_are_only_described() {
    assert_eq!(show("a\"b\n"), r#""a\"b\n""#);
    assert!(show(&"x".repeat(10_000)).chars().count() < 110);
    assert!(!show(" sk-abc").contains("abc"));
}

#[test]
fn only_unreadable_secrets_alone_have_a_code_of_their_own() {
    let problem = Problem::new(&Place::named("x"), "y");
    let secret = problem.clone().unreadable();
    assert_eq!(exit_for(std::slice::from_ref(&secret)), Exit::NoPerm);
    assert_eq!(exit_for(&[secret, problem]), Exit::Config);
    assert_eq!(exit_for(&[]), Exit::Config);
}
