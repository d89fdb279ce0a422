use super::*;

#[test]
fn a_process_reports_what_the_kernel_says_of_it() {
    let sealed = Sealed::of_a_test();
    let grants = Grants { tcp: [443].into(), ..Grants::default() };
    let report = Witness::open().unwrap().report(&sealed, Role::Worker, &grants, 4, Some(true)).unwrap();
    assert_eq!(report.role, "worker");
    assert_eq!(report.uid, [rustix::process::getuid().as_raw(); 4]);
    assert!(report.threads >= 1);
    let names: Vec<&str> = report.seccomp.filters.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["worker_errno", "worker_allow"]);
    assert_eq!((report.landlock.floor, report.landlock.tcp.len()), (4, 1));
    assert_eq!(report.limits.len(), LIMITS.len());
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn the_text_of_the_kernel_is_understood() {
    let status = Status("Uid:\t5\t5\t5\t5\nGroups:\t \nCapEff:\t0000000000000000\nSeccomp:\t2\n");
    assert_eq!(status.numbers("Uid").unwrap(), [5, 5, 5, 5]);
    assert_eq!(status.numbers("Groups").unwrap(), [0_u32; 0]);
    assert_eq!(status.number("Seccomp").unwrap(), 2);
    assert!(status.number("Threads").is_err());
    let found = limit("Max open files            1024                 524288               files").unwrap();
    assert_eq!((found.soft, found.hard), (Some(1024), Some(524_288)));
    let found = limit("Max address space         unlimited            unlimited            bytes").unwrap();
    assert_eq!((found.soft, found.hard), (None, None));
    assert_eq!(limit("Max stack size            8388608              unlimited            bytes"), None);
}
