use super::*;

/// Not a test of its own: the tests of the broker run this binary as launch, with its arguments behind `--`. It does
/// all that launch does but the confinement, which a process with the harness's threads cannot have.
#[test]
fn as_launch() {
    let mut args = std::env::args().skip_while(|a| a != "--").skip(1);
    if args.next().is_none_or(|a| a != "--fd") {
        return;
    }
    let socket = fds::sanitize_keeping(args.next().unwrap().parse().unwrap()).unwrap();
    let order = prepare(&socket).unwrap();
    let error = exec::exec(order.argv.into_iter().map(Into::into).collect());
    report(&socket, &Failed { step: "starting the program", error });
    panic!("launch does not become the program");
}
