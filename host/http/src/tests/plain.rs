//! What is sent, what is read, and how connections are kept.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use super::server::{Seen, Server, listen, ok, request as request_of, status};
use super::*;

#[test]
fn a_post_carries_what_the_protocol_the_operator_and_the_agent_say() {
    let server = Server::answering(|_| {
        "HTTP/1.1 429 X\r\nContent-Type: Text/Plain; charset=utf-8\r\nRetry-After: 7\r\ncontent-length: 5\r\n\r\n\
         hello"
            .to_owned()
    });
    let rig = Rig::new("headers = { X-Scope-OrgID = 'tenant', X-Own = 'operator' }");
    let mut posted = request(&format!("{}a/b?c=d", server.url()), "body");
    posted.headers.push(("x-own", "protocol".to_owned()));
    let answer = rig.client.post(posted).unwrap();
    let expected = Answer {
        status: 429,
        retry_after: Some(Duration::from_secs(7)),
        content_type: "text/plain".to_owned(),
        body: b"hello".to_vec(),
    };
    assert_eq!(answer, expected);
    let [Seen { line, headers, body, .. }] = &server.seen()[..] else { panic!("{:?}", server.seen()) };
    assert_eq!((line.as_str(), &body[..]), ("POST /a/b?c=d HTTP/1.1", &b"body"[..]));
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.sort_unstable();
    let host = format!("127.0.0.1:{}", server.port);
    let expected = [
        ("content-length", "4"),
        ("content-type", "text/plain"),
        ("host", &host),
        ("user-agent", concat!("picket/", env!("CARGO_PKG_VERSION"))),
        ("x-own", "protocol"),
        ("x-scope-orgid", "tenant"),
    ];
    assert_eq!(headers, expected);
    assert_eq!(rig.answered.lock().unwrap().len(), 1);
}

#[test]
fn one_connection_serves_requests_one_after_another() {
    let server = Server::answering(|seen| ok(&seen.line));
    let rig = Rig::new("");
    for _ in 0..5 {
        rig.post(&server.url(), "x").unwrap();
        rig.settle();
    }
    let answer = rig.client.get(&server.url().parse().unwrap()).unwrap();
    assert_eq!(answer.body, b"GET / HTTP/1.1");
    assert_eq!(server.seen().iter().map(|seen| seen.connection).max(), Some(0));
}

#[test]
fn requests_go_side_by_side_and_answers_come_in_their_order() {
    // Nobody is answered before sixteen have asked, and no more than these have.
    let (all, present) = (std::sync::Barrier::new(16), AtomicUsize::new(0));
    let server = Server::answering(move |seen| {
        assert!(present.fetch_add(1, Ordering::SeqCst) < 16);
        all.wait();
        present.fetch_sub(1, Ordering::SeqCst);
        ok(&String::from_utf8_lossy(&seen.body))
    });
    let rig = Rig::new("");
    let requests = (0..48).map(|number| request(&server.url(), &number.to_string())).collect();
    let answers = rig.client.post_all(requests);
    let bodies: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().body).collect();
    assert_eq!(bodies, (0..48).map(|number| number.to_string().into_bytes()).collect::<Vec<_>>());
    assert_eq!(server.seen().len(), 48);
    assert_eq!(rig.answered.lock().unwrap().len(), 48);
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced() {
    let (closed, wait) = sync_channel(1);
    let (log, seen) = sync_channel(2);
    let port = listen(move |mut stream, connection| {
        let seen = request_of(&mut stream, connection)?.unwrap();
        log.send((connection, seen.body)).unwrap();
        stream.write_all(ok("").as_bytes())?;
        drop(stream);
        closed.send(()).unwrap();
        Ok(())
    });
    let url = format!("http://127.0.0.1:{port}/");
    let rig = Rig::new("");
    for (connection, body) in ["first", "second"].into_iter().enumerate() {
        rig.post(&url, body).unwrap();
        wait.recv().unwrap();
        rig.settle();
        assert_eq!(seen.try_recv(), Ok((connection, body.into())));
    }
}

#[test]
fn redirects_are_answers() {
    let server =
        Server::answering(|_| "HTTP/1.1 307 X\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n".to_owned());
    let answer = Rig::new("").post(&server.url(), "x").unwrap();
    assert_eq!((answer.status, answer.judge()), (307, Judgement::Unusable));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn of_a_long_answer_the_beginning_is_read_and_the_connection_closed() {
    let server = Server::answering(|_| ok(&"x".repeat(10 << 20)));
    let rig = Rig::new("");
    for _ in 0..2 {
        assert_eq!(rig.post(&server.url(), "x").unwrap().body, vec![b'x'; MAX_ANSWER]);
    }
    assert_eq!(server.seen().iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_gateway_that_echoes_the_request_brings_no_secret_into_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    for setting in [
        "bearer_token_file = 'FILE'",
        "basic_auth = { username = 'u', password_file = 'FILE' }",
        "headers = { x-honeycomb-team = 'hunter2' }",
        "headers = { Authorization = 'Token hunter2' }",
    ] {
        let server = Server::answering(|seen| {
            let authorization = seen.header("authorization").unwrap_or_default();
            let key = seen.header("x-honeycomb-team").unwrap_or_default();
            status(401, &format!("no: {authorization} {key} hunter2"))
        });
        let rig = Rig::new(&setting.replace("FILE", file.to_str().unwrap()));
        let said = format!("{:?}", rig.post(&server.url(), "x").unwrap().said());
        assert!(!said.contains("hunter2") && !said.contains("dTpodW50ZXIy"), "{said}");
        assert!(said.contains("HTTP 401: no: ") && said.contains("*******"), "{said}");
    }
}

#[test]
fn a_refused_token_is_read_again() {
    for (setting, prefix) in [
        ("bearer_token_file = 'FILE'", "Bearer one"),
        ("basic_auth = { username = 'u', password_file = 'FILE' }", "Basic dTpvbmU="),
    ] {
        let server = Server::answering(move |seen| match seen.header("authorization") == Some(prefix) {
            true => status(401, "old"),
            false => ok("new"),
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "one\n").unwrap();
        let rig = Rig::new(&setting.replace("FILE", file.to_str().unwrap()));
        assert_eq!(rig.post(&server.url(), "x").unwrap().status, 401);
        std::fs::write(&file, "two\n").unwrap();
        let answer = rig.post(&server.url(), "x").unwrap();
        let expected = if prefix.starts_with("Bearer") { "Bearer two" } else { "Basic dTp0d28=" };
        assert_eq!(answer.status, 200);
        assert_eq!(server.seen().last().unwrap().header("authorization"), Some(expected));

        // What cannot be read again is told, and does not go out without.
        std::fs::write(&file, "one").unwrap();
        let rig = Rig::new(&setting.replace("FILE", file.to_str().unwrap()));
        rig.post(&server.url(), "x").unwrap();
        std::fs::remove_file(&file).unwrap();
        let sent = server.seen().len();
        let error = rig.post(&server.url(), "x").unwrap_err();
        assert!(
            matches!(&error, NoAnswer::NotSent { cause } if cause.contains(file.to_str().unwrap())),
            "{error}"
        );
        assert_eq!(server.seen().len(), sent);
    }
}

#[test]
fn a_receiver_that_always_refuses_costs_no_connection_each_time() {
    let server = Server::answering(|_| status(403, "never"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "one").unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    let rig = Rig::new(&format!("bearer_token_file = '{}'", file.display()));
    let connections = || server.seen().iter().map(|seen| seen.connection).collect::<Vec<_>>();
    for _ in 0..4 {
        assert_eq!(rig.post(&server.url(), "x").unwrap().status, 403);
        rig.settle();
    }
    assert_eq!(connections(), [0; 4]);
    // Another token may open what that one did not, and the connection may have been made for the old one.
    std::fs::write(&file, "two").unwrap();
    for _ in 0..2 {
        rig.post(&server.url(), "x").unwrap();
        rig.settle();
    }
    assert_eq!(connections(), [0, 0, 0, 0, 0, 1]);
    assert_eq!(server.seen()[5].header("authorization"), Some("Bearer two"));
}
