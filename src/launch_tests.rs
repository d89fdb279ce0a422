use super::*;

/// Not a test of its own: the tests of the broker run this binary as launch, with its arguments behind `--`.
#[test]
fn as_launch() {
    let mut args = std::env::args_os().skip_while(|a| a != "--").skip(1);
    if args.next().is_none_or(|a| a != "--status-fd") {
        return;
    }
    let fd = args.next().unwrap().to_str().unwrap().parse().unwrap();
    let exit = run(fd, args.skip(2).collect());
    panic!("launch returned {exit:?}");
}
