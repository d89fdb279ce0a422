use super::*;
use crate::policy::json;

fn canonical(text: &str) -> String {
    form(&json::read(text.as_bytes(), 1000).unwrap()).unwrap()
}

#[test]
fn the_example_of_rfc_8785_has_the_form_that_is_printed_there() {
    let text = r#"{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"#;
    let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(canonical(text), expected);
}

#[test]
fn keys_are_sorted_by_utf_16_as_in_the_example_of_rfc_8785() {
    let text = r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
    let order: Vec<char> = canonical(text).chars().filter(|c| ('1'..='7').contains(c)).collect();
    // The key "1" is among them.
    assert_eq!(order, ['2', '1', '4', '6', '7', '1', '5', '3']);
}

#[test]
fn numbers_are_written_as_ecmascript_does() {
    // From appendix B of RFC 8785.
    for (raw, expected) in [
        ("-0", "0"),
        ("5e-324", "5e-324"),
        ("-1.7976931348623157e308", "-1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("295147905179352830000", "295147905179352830000"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("1e23", "1e+23"),
        ("999999999999999900000", "999999999999999900000"),
        ("1e21", "1e+21"),
        ("9.999999999999997e-7", "9.999999999999997e-7"),
        ("0.000001", "0.000001"),
        ("333333333.33333325", "333333333.33333325"),
        ("0.00001", "0.00001"),
        ("100", "100"),
        ("1.5", "1.5"),
    ] {
        assert_eq!(canonical(raw), expected);
    }
    assert!(form(&json::read(b"1e400", 10).unwrap()).is_none());
}

#[test]
fn a_definition_is_its_five_members_and_no_other() {
    let digest = |text: &str| definition(&json::read(text.as_bytes(), 100).unwrap()).unwrap();
    let plain = digest(r#"{"name":"a","inputSchema":{}}"#);
    assert_eq!(plain, sha256_hex(br#"{"inputSchema":{},"name":"a"}"#));
    assert_eq!(digest(r#"{"title":"A","icons":[],"_meta":{},"inputSchema": {},"name":"\u0061"}"#), plain);
    for changed in ["description", "outputSchema", "annotations"] {
        assert_ne!(digest(&format!(r#"{{"name":"a","inputSchema":{{}},"{changed}":{{}}}}"#)), plain);
    }
}
