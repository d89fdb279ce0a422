use super::*;

fn report() -> Report {
    let mut report = Report::default();
    report.hide("hunter2");
    report.hide("abc");
    report.fail("b", "it said hunter2\nCHECK x", ["why", "abc \u{1b}[2J hunter2", "run: x\nmore"]);
    report.skip("c", "left out", "");
    report.pass("a", "fine");
    report.finish(&["a", "b", "c"]);
    report
}

#[test]
fn the_text_is_in_order_and_explains_what_did_not_pass() {
    let text = report().text(true, "tunnelward run");
    let expected = "\
CHECK a                        PASS fine
CHECK b                        FAIL it said [secret] CHECK x
  Why:
    why
  Evidence:
    abc ?[2J [secret]
  What to do next:
    run: x
    more
CHECK c                        SKIP left out
  Why:
    left out

RESULT fail
FAILED_CHECKS b
EXIT_CODE 2
";
    assert_eq!(text, expected);
}

#[test]
fn a_report_without_failures_says_how_it_goes_on() {
    let mut report = Report::default();
    report.pass("a", "fine");
    assert_eq!(
        report.text(true, "next one"),
        "CHECK a                        PASS fine\n\nRESULT ok\nNEXT   next one\n"
    );
    let expected = "{\n  \"result\": \"ok\",\n  \"next\": \"next one\",\n  \"checks\": [\n    {\n      \"id\": \"a\",\n      \
                    \"status\": \"PASS\",\n      \"summary\": \"fine\"\n    }\n  ]\n}\n";
    assert_eq!(report.json("next one"), expected);
}

#[test]
fn the_json_can_be_read_and_hides_what_the_text_hides() {
    let text = report().json("");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["failed_checks"], serde_json::json!(["b"]));
    assert_eq!(json["checks"][1]["next"], "run: x\nmore");
    assert_eq!(json["checks"][2].as_object().unwrap().len(), 4);
    assert!(!text.contains("hunter2"), "{text}");
}
