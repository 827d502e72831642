use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
};

use rustix::fs::{CWD, Mode, mkfifoat};

use super::*;

fn reason(result: io::Result<String>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn reads_regular_file_up_to_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "x".repeat(1024)).unwrap();
    assert_eq!(read_text(&path, 1024).unwrap().len(), 1024);
    assert_eq!(reason(read_text(&path, 1023)), "it is larger than 0 KiB");
    fs::write(&path, [0xff]).unwrap();
    assert_eq!(reason(read_text(&path, 1024)), "it is not UTF-8");
    assert_eq!(read_bytes(&path, 1024).unwrap(), [0xff]);
}

#[test]
fn refuses_fifo_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    let text = reason(read_text(&path, MAX_SECRET_BYTES));
    assert_eq!(text, "it is a pipe, not a regular file");
}

#[test]
fn refuses_devices_folders_and_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let device = read_text(Path::new("/dev/zero"), MAX_FILE_BYTES);
    assert_eq!(reason(device), "it is a device, not a regular file");
    let text = reason(read_text(folder.path(), MAX_FILE_BYTES));
    assert_eq!(text, "it is a folder, not a regular file");
    assert!(read_text(&socket, MAX_FILE_BYTES).is_err());
}

#[test]
fn requires_own_unnamed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mirror.toml");
    fs::write(&path, "").unwrap();
    let user = fs::metadata(&path).unwrap().uid();
    for (mode, is_accepted) in [(0o600, true), (0o644, true), (0o664, false), (0o666, false)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(read_own_bytes(&path, 1024).is_ok(), is_accepted, "{mode:o}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert!(check_owner(&metadata, user, "").is_ok());
    if user != 0 {
        let text = check_owner(&metadata, user + 1, ", or name it with --config")
            .unwrap_err()
            .to_string();
        assert!(text.contains("--config"), "{text}");
    }
}
