//! What is particular about a named pipe.

use seacat_windows::{own_user, pipe};

use super::super::socket::connect_to;
use super::*;

/// No user is a member of this group until an administrator adds one: Cryptographic Operators.
const NOT_US: &str = "S-1-5-32-569";

#[tokio::test]
async fn the_pipe_goes_with_its_listener() {
    let (_folder, path) = socket_path();
    assert!(matches!(Client::connect(&path).await, Err(ClientError::NotRunning)), "no folder");
    let listener = Listener::bind(&path).unwrap();
    Client::connect(&path).await.unwrap();
    drop(listener);
    assert!(matches!(Client::connect(&path).await, Err(ClientError::NotRunning)), "no pipe");
}

/// The system turns away others by the pipe's access list.
#[tokio::test]
async fn the_pipe_is_for_its_owner_alone() {
    let (_folder, path) = socket_path();
    let _listener = Listener::bind(&path).unwrap();
    let me = own_user().unwrap();
    let stream = connect_to(&path, &me).await.unwrap();
    let access = pipe::descriptor(&stream).unwrap();
    // P: nothing is inherited. One entry: we ourselves.
    assert!(access.starts_with(&format!("O:{me}D:P(A;;")), "{access}");
    assert!(access.ends_with(&format!(";;;{me})")) && access.matches('(').count() == 1, "{access}");
}

/// The client believes that it is another user: so the pipe is a foreign one.
#[tokio::test]
async fn a_foreign_pipe_is_not_spoken_to() {
    let (_folder, path) = socket_path();
    let _listener = Listener::bind(&path).unwrap();
    let error = connect_to(&path, NOT_US).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
}

/// More at once than there are instances to connect to.
#[tokio::test]
async fn clients_that_come_together_are_all_answered() {
    let (_folder, path) = socket_path();
    let mut office = office();
    tokio::spawn(serve(Listener::bind(&path).unwrap(), office.desk));
    let ask = async || Client::connect(&path).await?.ask(Request::Connect).await;
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    for answer in [a, b, c, d] {
        assert_eq!(answer.unwrap(), Answer::Done);
        assert_eq!(office.wishes.recv().await, Some(Request::Connect));
    }
}
