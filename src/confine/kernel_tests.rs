use super::*;

fn kernel(landlock: u8) -> Kernel {
    Kernel { release: "6.1.0-28-amd64".into(), landlock, seccomp: true }
}

#[test]
fn a_kernel_below_the_floor_is_refused_with_what_it_lacks_and_the_line_that_accepts_it() {
    for floor in 1..=10 {
        for abi in 0..=10 {
            let checked = kernel(abi).check(floor);
            if abi >= floor {
                assert_eq!(checked, Ok(Abi(abi)));
                continue;
            }
            let text = checked.unwrap_err().to_string();
            assert!(text.contains("the kernel 6.1.0-28-amd64"), "{text}");
            if abi == 0 {
                assert!(text.contains("lsm=landlock") && !text.contains("require"), "{text}");
            } else {
                assert!(text.contains(&format!("confinement: {{require: {abi}}}")), "{text}");
                assert_eq!(text.contains("TCP ports"), abi < 4, "{text}");
                assert_eq!(text.contains("signals"), abi < 6, "{text}");
                assert_eq!(text.contains("truncating"), abi < 3, "{text}");
            }
        }
    }
}

#[test]
fn a_kernel_without_seccomp_is_refused_whatever_the_floor() {
    let without = Kernel { seccomp: false, ..kernel(7) };
    assert!(without.check(1).unwrap_err().to_string().contains("seccomp"));
}

#[test]
fn a_kernel_below_the_default_floor_has_a_caveat() {
    assert_eq!(kernel(4).caveat(), None);
    let caveat = kernel(2).caveat().unwrap();
    assert!(caveat.contains("ABI 2 only") && caveat.contains("TCP ports"), "{caveat}");
}

#[test]
fn the_running_kernel_is_probed() {
    let kernel = Kernel::probe();
    assert!(kernel.seccomp && kernel.landlock >= 1, "{kernel:?}");
    assert!(kernel.release.contains('.'));
}
