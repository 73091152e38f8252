//! Several plugins on one source, lanes without room, and members of containers.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::tests::{Scene, name, scans};
use super::*;
use crate::pipeline::lane::Wake;
use crate::pipeline::work::Work;
use crate::pipeline::work::stand_in::Containers;

#[test]
fn a_plugin_without_room_holds_nobody_up() {
    let mut scene = Scene::new();
    let other = scene.add("q");
    scene.narrow();
    for name in ["a", "b", "c"] {
        scene.write(name, name);
    }
    scene.source.turn();
    let given = scans(&other);
    assert_eq!(given.iter().map(name).collect::<Vec<_>>(), ["a", "b", "c"]);
    for job in given {
        scene.judged("q", &job);
        job.ticket.finish();
    }
    // What is new goes on as well, and what was put aside comes in its order.
    scene.write("d", "d");
    scene.source.turn();
    scene.source.turn();
    assert_eq!(scans(&other).iter().map(name).collect::<Vec<_>>(), ["d"]);
    for name in ["a", "b", "c", "d"] {
        scene.check(&[name]);
    }
    scene.check(&[]);
    assert!(scene.source.aside.is_empty());
}

/// Not even what has room may be read in vain.
#[test]
fn a_file_that_nobody_has_room_for_is_not_read() {
    let mut scene = Scene::new();
    scene.check(&[]);
    scene.narrow();
    for name in ["a", "b"] {
        scene.write(name, name);
        scene.source.turn();
    }
    let key = StatKey::of(&fs::metadata(scene.path("b")).unwrap());
    assert_eq!(scene.source.parts.log.digest_of(&scene.path("b"), &key), None);
    scene.check(&["a"]);
    scene.check(&["b"]);
}

#[test]
fn what_could_not_be_put_aside_is_found_by_a_walk_of_its_own() {
    let mut scene = Scene::new();
    scene.check(&[]);
    // The kernel tells nothing of it.
    scene.source.folders = None;
    scene.write("a", "1");
    scene.check(&[]);
    scene.source.aside.miss("p");
    let next_walk = scene.source.next_walk;
    scene.check(&["a"]);
    assert_eq!(scene.source.next_walk, next_walk);
    scene.write("b", "1");
    scene.check(&[]);
}

#[test]
fn a_walk_that_waits_for_room_goes_on_with_everything_else() {
    let mut scene = Scene::new();
    scene.check(&[]);
    let other = scene.add("q");
    scene.narrow();
    scene.check(&[]);
    scene.write("a", "1");
    scene.write("b", "1");
    scene.source.turn();
    drop(scans(&other));
    while scene.source.aside.next("p").is_some() {}
    scene.source.aside.miss("p");
    let (new, stop) = (scene.path("new"), scene.source.parts.stop.clone());
    let Scene { receiver, mut source, folder: _folder, .. } = scene;
    // The walk waits until `p` has room, which is when `q` has got the new file.
    let plugins = std::thread::spawn(move || {
        fs::write(new, "1").unwrap();
        let deadline = Some(Instant::now() + Duration::from_secs(60));
        let got = match other.next(deadline, false) {
            Wake::Work(Work::Scan(job)) => name(&job),
            wake => format!("{wake:?}"),
        };
        let late = [(); 2].map(|()| match receiver.next(deadline, false) {
            Wake::Work(Work::Scan(job)) => name(&job),
            wake => format!("{wake:?}"),
        });
        stop.store(true, Ordering::Relaxed);
        (got, late)
    });
    while !source.stopped() {
        source.turn();
    }
    let (got, late) = plugins.join().unwrap();
    assert_eq!(got, "new");
    assert_eq!(late[0], "a");
}

#[test]
fn members_of_one_name_are_all_scanned() {
    let mut scene = Scene::new();
    scene.check(&[]);
    let containers = Containers::new();
    let (done, members) = containers.with("/srv/x.zip", &[("a", b"harmless"), ("a", b"hostile")]);
    for member in members {
        scene.source.members.0.send(member).unwrap();
    }
    scene.source.turn();
    let jobs = scans(&scene.receiver);
    let contents: Vec<Digest> = jobs.iter().map(|job| job.target.info.sha256).collect();
    assert_eq!(contents, [&b"harmless"[..], b"hostile"].map(Digest::of));
    assert!(done.is_empty());
    jobs.into_iter().for_each(|job| job.ticket.finish());
    assert!(done.recv().unwrap().committed);
    assert_eq!(containers.spooled(), 0);
}

#[test]
fn members_that_are_the_same_share_a_verdict_and_its_want() {
    for committed in [true, false] {
        let mut scene = Scene::new();
        scene.check(&[]);
        let containers = Containers::new();
        // Two unpackers open one file.
        let (first, second) = (containers.with("x", &[("a", b"1")]), containers.with("x", &[("a", b"1")]));
        for member in first.1.into_iter().chain(second.1) {
            scene.source.members.0.send(member).unwrap();
        }
        scene.source.turn();
        let mut jobs = scans(&scene.receiver);
        assert_eq!(jobs.len(), 1);
        assert!(second.0.is_empty());
        if committed {
            jobs.remove(0).ticket.finish();
        }
        drop(jobs);
        scene.source.turn();
        assert_eq!(first.0.recv().unwrap().committed, committed);
        assert_eq!(second.0.recv().unwrap().committed, committed);
    }
}

#[test]
fn members_wait_for_room_each_for_its_plugin() {
    let mut scene = Scene::new();
    scene.check(&[]);
    let other = scene.add("q");
    scene.narrow();
    let containers = Containers::new();
    let (done, members) = containers.with("/srv/x.zip", &[("a", b"1"), ("b", b"2"), ("c", b"3")]);
    for member in members {
        scene.source.members.0.send(member).unwrap();
    }
    scene.source.turn();
    for job in scans(&other) {
        scene.judged("q", &job);
        job.ticket.finish();
    }
    for (name, left) in [("a", 2), ("b", 1), ("c", 0)] {
        assert!(done.is_empty());
        scene.check(&[name]);
        scene.source.turn();
        assert_eq!(containers.spooled(), left);
    }
    assert!(done.recv().unwrap().committed);
    assert!(scans(&other).is_empty());
}

/// The path of a member may lead anywhere.
#[test]
fn the_path_of_a_member_is_not_used_on_disk() {
    let mut scene = Scene::new();
    fs::create_dir(scene.path("x.zip!")).unwrap();
    scene.write("x.zip!/a", "1");
    scene.check(&["a"]);
    let containers = Containers::new();
    let (done, members) = containers.with(scene.path("x.zip").to_str().unwrap(), &[("a", b"2")]);
    members.into_iter().for_each(|member| scene.source.members.0.send(member).unwrap());
    scene.source.turn();
    assert_eq!(scans(&scene.receiver).len(), 1, "it came to nothing");
    scene.check(&[]);
    assert_eq!(scene.source.waiting.len(), 0);
    assert!(!done.recv().unwrap().committed);
}
