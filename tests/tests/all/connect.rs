//! `check --connect` asks the receiver of each forwarder and tells what is wrong with each; it ends with 1 where only
//! receivers are at fault, and with 78 where the configuration is.

use std::net::SocketAddr;

use picket_tests::servers::{Hook, Nobody, PASSWORD, Prometheus, Server, Tls, USER, need};
use picket_tests::{Node, Ran};
use serde_json::Value;

/// A forwarder of remote write, past whatever proxy this machine has.
fn remote_write(name: &str, url: &str, http: &str) -> String {
    format!(
        "[forwarders.{name}]\nkind = \"remote_write\"\nurl = \"{url}\"\n\
         [forwarders.{name}.http]\nproxy = \"none\"\ntimeout = \"30s\"\n{http}\n"
    )
}

fn webhook(name: &str, address: SocketAddr) -> String {
    format!(
        "[forwarders.{name}]\nkind = \"webhook\"\nurl = \"http://{address}/private-path\"\nhttp.proxy = \"none\"\n"
    )
}

/// The one problem of a forwarder.
fn problem(checked: &Value, name: &str) -> Value {
    let key = format!("forwarders.{name}");
    let problems = checked["problems"].as_array().unwrap();
    let own: Vec<_> = problems.iter().filter(|problem| problem["key"] == key.as_str()).collect();
    assert_eq!(own.len(), 1, "`{name}` in {checked:#}");
    own[0].clone()
}

/// Panics unless the receiver is blamed, with these words.
fn blamed(checked: &Value, name: &str, says: &[&str]) {
    let problem = problem(checked, name);
    assert_eq!(problem["code"], "upstream", "{problem}");
    let message = problem["message"].as_str().unwrap();
    for part in says {
        assert!(message.contains(part), "`{part}` is missing in {problem}");
    }
}

fn all(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

#[test]
fn receivers_are_asked_only_where_that_is_wanted() {
    let (hook, nobody) = (Hook::start(), Nobody::reserve());
    let config = [
        webhook("good", hook.address()),
        webhook("away", nobody.address()),
        remote_write("gone", &format!("http://{}/api/v1/write", nobody.address()), ""),
    ];
    let node = Node::builder().config(&config.concat()).build();

    let checked = node.cli("check");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(hook.requests().is_empty(), "nobody was asked");

    let checked = node.cli("check --connect");
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let address = nobody.address().to_string();
    for part in [
        "note: forwarder `good` (webhook): ",
        "error[upstream]: forwarder `away` (webhook): ",
        "error[upstream]: forwarder `gone` (remote_write): http://",
        "cannot connect to",
        "picket.toml:",
        &address,
    ] {
        assert!(checked.stderr.contains(part), "`{part}` is missing in\n{}", checked.stderr);
    }
    assert!(!all(&checked).contains("private-path"), "the path of a webhook's URL is secret: {checked:?}");
    assert!(!hook.requests().is_empty());
    assert!(hook.requests().iter().all(|request| request.body.is_empty()), "nothing was posted");

    let checked = node.cli("check --connect --output json");
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let checked = checked.json();
    assert_eq!(checked["ok"], false);
    assert_eq!(checked["problems"].as_array().unwrap().len(), 2, "{checked:#}");
    for name in ["away", "gone"] {
        blamed(&checked, name, &["cannot connect to", &address]);
    }

    node.configure(&config[0]);
    assert_eq!(node.cli("check --connect").code, Some(0));
}

#[test]
fn what_cannot_be_read_is_the_configurations_fault_whoever_answers() {
    let nobody = Nobody::reserve();
    let url = format!("http://{}/api/v1/write", nobody.address());
    let basic = "basic_auth = { username = \"u\", password_file = \"{dir}/password\" }";
    let config = remote_write("unread", &url, basic) + &remote_write("gone", &url, "");
    let node = Node::builder().config(&config).build();
    for verb in ["check", "check --connect"] {
        let checked = node.cli(verb);
        assert_eq!(checked.code, Some(78), "{checked:?}");
        let file = node.path("password").display().to_string();
        let says = ["error[forwarder]: forwarder `unread` (remote_write): ", &file, "may read it"];
        for part in says {
            assert!(checked.stderr.contains(part), "`{part}` is missing in\n{}", checked.stderr);
        }
        assert_eq!(checked.stderr.contains("error[upstream]"), verb.contains("connect"), "{checked:?}");
    }
    std::fs::write(node.path("password"), "hunter2\n").unwrap();
    assert_eq!(node.cli("check").code, Some(0));
    let checked = node.cli("check --connect");
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(!all(&checked).contains("hunter2"), "{checked:?}");
}

#[test]
fn a_real_receiver_is_told_from_one_that_is_configured_wrongly() {
    if !need(&[Server::Prometheus, Server::Tls]) {
        return;
    }
    let (tls, other) = (Tls::make(), Tls::make());
    let (open, secured) = (Prometheus::start(), Prometheus::builder().tls(&tls).start());
    let http = |password: &str, authority: &Tls| {
        format!(
            "basic_auth = {{ username = \"{USER}\", password_file = \"{{dir}}/{password}\" }}\n\
             tls.ca_file = \"{}\"",
            authority.authority().display()
        )
    };
    let config = [
        remote_write("good", &open.write_url(), ""),
        remote_write("secured", &secured.write_url(), &http("right", &tls)),
        remote_write("path", &open.write_url().replace("/write", "/wrong"), ""),
        remote_write("password", &secured.write_url(), &http("wrong", &tls)),
        remote_write("authority", &secured.write_url(), &http("right", &other)),
        remote_write("plain", &secured.write_url().replace("https:", "http:"), ""),
    ];
    let node =
        Node::builder().file("right", PASSWORD).file("wrong", "hunter2").config(&config.concat()).build();

    let checked = node.cli("check --connect --output json");
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(!all(&checked).contains("hunter2"), "{checked:?}");
    let checked = checked.json();
    let notes = checked["notes"].to_string();
    for name in ["good", "secured"] {
        assert!(notes.contains(&format!("forwarder `{name}` (remote_write): http")), "{notes}");
    }
    assert!(notes.contains("takes remote write 1.0"), "{notes}");
    assert_eq!(checked["problems"].as_array().unwrap().len(), 4, "{checked:#}");
    blamed(&checked, "path", &["/api/v1/wrong", "cannot be used", "check the path of `url`"]);
    blamed(&checked, "password", &["401", "http.basic_auth"]);
    blamed(&checked, "authority", &["TLS with", "failed"]);
    blamed(&checked, "plain", &["https"]);

    node.configure(&config[..2].concat());
    let checked = node.cli("check --connect");
    checked.expect(0, &["The configuration is good"]);
    assert_eq!(open.count("{__name__!=\"\"}"), 0, "no sample was sent");
}
