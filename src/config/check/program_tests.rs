use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn file(path: &Path, mode: u32) {
    std::fs::write(path, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn programs_are_found_in_absolute_directories_of_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    file(&dir.path().join("srv"), 0o755);
    let path = format!(":.:relative:/nonexistent:{root}");
    assert_eq!(find("srv", &path, Path::new("/")).unwrap(), format!("{root}/srv"));
    let missing = find("srv", ".:relative:", dir.path()).unwrap_err();
    assert!(missing.why.starts_with("was not found"), "{missing:?}");
    assert!(missing.fix.starts_with("fix: install it"));
}

#[test]
fn a_path_is_relative_to_the_working_directory() {
    let dir = tempfile::tempdir().unwrap();
    file(&dir.path().join("srv"), 0o755);
    let absolute = format!("{}/srv", dir.path().display());
    assert_eq!(find(&absolute, "", Path::new("/")).unwrap(), absolute);
    assert!(find("./srv", "", dir.path()).unwrap().ends_with("/srv"));
    assert!(find("./srv", "/usr/bin", Path::new("/nonexistent")).unwrap_err().why.contains("was not found"));
}

#[test]
fn what_cannot_be_executed_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    file(&dir.path().join("srv"), 0o644);
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    let missing = find("srv", root, Path::new("/")).unwrap_err();
    assert_eq!(missing.why, format!("is not executable: {root}/srv"));
    assert_eq!(missing.fix, format!("fix: chmod +x {root}/srv"));
    assert!(find("sub", root, Path::new("/")).unwrap_err().why.contains("was not found"));
}
