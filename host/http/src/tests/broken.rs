//! Receivers that are away, slow, or break off, and an agent that stops meanwhile.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::server::{Server, Then, listen, ok, request as request_of};
use super::*;

/// A port at which nobody listens.
fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_receiver_that_is_away_was_handed_nothing() {
    let port = nobody();
    let error = Rig::new("").post(&format!("http://127.0.0.1:{port}/"), "x").unwrap_err();
    let NoAnswer::Connect { to, cause } = &error else { panic!("{error:?}") };
    assert_eq!(to, &format!("127.0.0.1:{port}"));
    assert!(cause.contains("refused") && cause.contains("nothing listens there"), "{cause}");
}

#[test]
fn a_name_that_nobody_has_is_told() {
    // A label of 64 characters is too long to be asked for (RFC 1035, section 2.3.4).
    let error = Rig::new("").post(&format!("http://{}.test/", "a".repeat(64)), "x").unwrap_err();
    assert!(matches!(&error, NoAnswer::Connect { cause, .. } if cause.contains("name servers")), "{error:?}");
}

#[test]
fn what_breaks_off_may_have_been_accepted() {
    let broken = |name: &str, answer: &'static str, expected: &str| {
        let server = Server::new(None, move |_, to| to.write_all(answer.as_bytes()).map(|()| Then::Close));
        let rig = Rig::new("");
        let error = rig.post(&server.url(), "x").unwrap_err();
        assert!(
            matches!(&error, NoAnswer::Broken { cause, .. } if cause.contains(expected)),
            "{name}: {error:?}"
        );
        assert_eq!(server.seen().len(), 1, "{name}: nothing is sent again");
        assert!(rig.answered.lock().unwrap().is_empty());
    };
    broken("end before the answer", "", "closed");
    broken("end in the head", "HTTP/1.1 200 OK\r\ncontent-le", "closed");
    broken("end in the body", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "end of file");
    broken("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "invalid");
}

#[test]
fn a_kept_connection_that_breaks_off_is_not_used_again_for_the_same_request() {
    let server = Server::new(None, |seen, to| match &seen.body[..] {
        b"bad" => Ok(Then::Close),
        _ => to.write_all(ok("").as_bytes()).map(|()| Then::Keep),
    });
    let rig = Rig::new("");
    rig.post(&server.url(), "good").unwrap();
    rig.settle();
    let error = rig.post(&server.url(), "bad").unwrap_err();
    assert!(matches!(&error, NoAnswer::Broken { .. }), "{error:?}");
    let seen: Vec<_> = server.seen().into_iter().map(|seen| (seen.connection, seen.body)).collect();
    assert_eq!(seen, [(0, b"good".to_vec()), (0, b"bad".to_vec())]);
}

#[test]
fn a_reset_is_told() {
    let port = listen(|mut stream, _| {
        // Closed with something unread, the connection is reset.
        stream.read_exact(&mut [0; 1])
    });
    let error = Rig::new("").post(&format!("http://127.0.0.1:{port}/"), &"x".repeat(8 << 20)).unwrap_err();
    let NoAnswer::Broken { cause, .. } = &error else { panic!("{error:?}") };
    assert!(cause.contains("reset") || cause.contains("Broken pipe"), "{cause}");
}

#[test]
fn a_silent_receiver_is_given_up_after_the_timeout() {
    let server = Server::new(None, |_, _| {
        loop {
            thread::park();
        }
    });
    let error = Rig::new("timeout = '1s'").post(&server.url(), "x").unwrap_err();
    assert!(matches!(error, NoAnswer::Timeout { after, .. } if after == MIN_TIMEOUT), "{error:?}");
}

#[test]
fn the_timeout_ends_with_the_body() {
    // Whatever it does with its time, it is over after the timeout.
    let server = Server::new(None, |_, to| {
        to.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")?;
        loop {
            to.write_all(b"x")?;
            thread::sleep(Duration::from_millis(100));
        }
    });
    let error = Rig::new("timeout = '1s'").post(&server.url(), "x").unwrap_err();
    assert!(matches!(error, NoAnswer::Timeout { after, .. } if after == MIN_TIMEOUT), "{error:?}");
}

#[test]
fn a_connection_that_does_not_come_about_was_handed_nothing() {
    // It accepts the connection and says nothing of TLS.
    let port = listen(|mut stream, _| stream.read_to_end(&mut Vec::new()).map(drop));
    let error = Rig::new("timeout = '1s'").post(&format!("https://127.0.0.1:{port}/"), "x").unwrap_err();
    let expected = "no connection within 500ms";
    assert!(matches!(&error, NoAnswer::Connect { cause, .. } if cause == expected), "{error:?}");
}

#[test]
fn a_timeout_out_of_bounds_is_brought_within_them() {
    let server = Server::answering(|_| ok(""));
    for timeout in ["1ms", "10h"] {
        assert!(Rig::new(&format!("timeout = '{timeout}'")).post(&server.url(), "x").is_ok(), "{timeout}");
    }
}

#[test]
fn who_stops_does_not_wait_for_the_answer() {
    let (asked, wait) = sync_channel(32);
    let port = listen(move |mut stream, connection| {
        request_of(&mut stream, connection)?;
        asked.send(()).unwrap();
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    let url = format!("http://127.0.0.1:{port}/");
    let rig = Rig::new("timeout = '5m'");
    let stop = rig.stop.clone();
    let stopping = thread::spawn(move || {
        (0..3).for_each(|_| wait.recv().unwrap());
        stop.send(Some(Instant::now())).unwrap();
        wait
    });
    let requests = (0..3).map(|_| request(&url, "x")).collect();
    assert_eq!(rig.client.post_all(requests), vec![Err(NoAnswer::Stopped); 3]);
    let wait = stopping.join().unwrap();
    assert_eq!(rig.post(&url, "x"), Err(NoAnswer::Stopped));
    assert!(wait.try_recv().is_err(), "it asked after the end");
}
