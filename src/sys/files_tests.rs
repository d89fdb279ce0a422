use std::os::unix::fs::MetadataExt as _;

use super::*;

#[test]
fn stderr_is_named_by_its_device_and_inode() {
    let file = std::fs::metadata("/proc/self/fd/2").unwrap();
    assert_eq!(stderr_stream().unwrap(), format!("{}:{}", file.dev(), file.ino()));
}
