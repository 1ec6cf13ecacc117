//! What is particular about a socket in a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::private::{Closed, check_folder, own_uid};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn folder_and_socket_are_for_the_owner_and_the_socket_goes_with_its_listener() {
    let (_folder, path) = socket_path();
    let listener = Listener::bind(&path).unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path), 0o600);
    drop(listener);
    assert!(!path.exists());
    assert!(matches!(Client::connect(&path).await, Err(ClientError::NotRunning)));
}

#[tokio::test]
async fn the_socket_of_a_crash_is_replaced_and_means_not_running() {
    let (_folder, path) = socket_path();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "as after kill -9");
    assert!(matches!(Client::connect(&path).await, Err(ClientError::NotRunning)));
    let _listener = Listener::bind(&path).unwrap();
    Client::connect(&path).await.unwrap();
}

#[tokio::test]
async fn unsafe_folders_are_refused() {
    let (_folder, path) = socket_path();
    let run = path.parent().unwrap();
    fs::create_dir(run).unwrap();
    for open in [0o755, 0o770, 0o701] {
        fs::set_permissions(run, fs::Permissions::from_mode(open)).unwrap();
        let error = Listener::bind(&path).expect_err("open folder").to_string();
        assert!(error.contains("is open to others"), "{error}");
    }
    fs::set_permissions(run, fs::Permissions::from_mode(0o700)).unwrap();
    let stranger = own_uid() + 1;
    let error = check_folder(run, stranger, Closed::Fully).expect_err("foreign folder").to_string();
    assert!(error.contains("belongs to another user"), "{error}");
    let link = path.with_file_name("link");
    std::os::unix::fs::symlink(run, &link).unwrap();
    let error = Listener::bind(&link.join("x.sock")).map(drop);
    assert!(error.is_err(), "a link is not a folder of ours");
}

#[tokio::test]
async fn a_path_that_does_not_fit_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x".repeat(120)).join("control.sock");
    let error = Listener::bind(&path).expect_err("too long").to_string();
    assert!(error.contains("set XDG_RUNTIME_DIR"), "{error}");
}

/// The listener takes another user for its owner, so our connection is a foreign one.
#[tokio::test]
async fn a_foreign_client_is_turned_away() {
    let (_folder, path) = socket_path();
    let stranger = own_uid() + 1;
    let listener = Listener::bind(&path).unwrap().with_owner(stranger);
    let office = office();
    tokio::spawn(serve(listener, office.desk));
    let mut client = Client::connect(&path).await.unwrap();
    client.ask(Request::Stop).await.expect_err("no answer for strangers");
    assert!(office.wishes.is_empty(), "and the wish went nowhere");
}

/// Logout removes the runtime folder of a user, and the next login makes another.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_socket_whose_folder_vanished_is_made_again() {
    let (folder, path) = socket_path();
    // Its other ends stay, or the controller ends.
    let office = office();
    let serving = tokio::spawn(serve(Listener::bind(&path).unwrap(), office.desk.clone()));
    let answers = async |path: &std::path::Path| loop {
        let asked = async { Client::connect(path).await?.ask(Request::Connect).await };
        match asked.await {
            Ok(answer) => return answer,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(answers(&path).await, Answer::Done);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    assert_eq!(answers(&path).await, Answer::Done);

    // The folder above it as well.
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(answers(&path).await, Answer::Done);
    serving.abort();
}
