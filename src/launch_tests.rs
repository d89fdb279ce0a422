use super::*;

/// Not a test of its own: the tests of the broker run this binary as launch, with its arguments behind `--`.
#[test]
fn as_launch() {
    let mut args = std::env::args().skip_while(|a| a != "--").skip(1);
    if args.next().is_none_or(|a| a != "--fd") {
        return;
    }
    let exit = run(args.next().unwrap().parse().unwrap());
    panic!("launch returned {exit:?}");
}
