//! Files, folders and plugins that are away for a while, and files that cannot all be open.

use std::os::unix::fs::symlink;

use super::*;

/// A scene that follows `$/d/*.log`.
fn scene() -> Scene {
    let scene = Scene::new(|config| config.include[0] = config.include[0].replace("/*.log", "/d/*.log"));
    fs::create_dir(scene.path("d")).unwrap();
    scene
}

/// As a changed configuration does it.
fn replace(scene: &mut Scene) {
    let places = scene.source.hand_over(scene.clock);
    let metrics = scene.source.metrics.clone();
    let checked = scene.config.check().unwrap();
    scene.source = FileSource::new("s", checked, scene.router.watch("s"), scene.committed.clone(), metrics);
    scene.source.inherit(places);
}

#[test]
fn a_folder_that_cannot_be_listed_still_has_its_files() {
    let mut scene = scene();
    scene.append("d/a.log", "1\n");
    scene.check(&["1"]);
    scene.rename("d", "away");
    symlink("d", scene.path("d")).unwrap();
    scene.pass(60);
    scene.check(&[]);
    assert_eq!(scene.source.tails.len(), 1);
    assert_eq!(scene.source.status().problems[0].path, scene.path("d"));
    fs::remove_file(scene.path("d")).unwrap();
    scene.rename("away", "d");
    scene.append("d/a.log", "2\n");
    scene.check(&["2"]);
}

#[test]
fn a_file_that_was_let_go_and_comes_back_is_gone_on_with() {
    for replaced in [false, true] {
        let mut scene = scene();
        scene.append("d/a.log", "1\n");
        scene.turn();
        // As when its file system is unmounted.
        scene.rename("d", "away");
        scene.pass(60);
        scene.turn();
        assert!(scene.source.tails.is_empty());
        if replaced {
            replace(&mut scene);
        }
        scene.rename("away", "d");
        scene.append("d/a.log", "2\n");
        scene.check(&["1", "2"]);
    }
}

#[test]
fn a_plugin_that_loses_a_source_and_gets_it_back_gets_nothing_twice() {
    for replaced in [false, true] {
        let mut scene = Scene::new(|_| {});
        scene.append("a.log", "1\n");
        scene.turn();
        scene.router.set("s", Vec::new()).unwrap();
        scene.turn();
        if replaced {
            replace(&mut scene);
        }
        scene.append("a.log", "2\n");
        scene.turn();
        scene.route();
        scene.check(&["1", "2"]);
    }
}

#[test]
fn nothing_is_kept_of_a_closed_lane() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "1\n");
    scene.turn();
    scene.router.set("s", Vec::new()).unwrap();
    scene.turn();
    assert_eq!(scene.source.inherited.len(), 1);
    scene.plugins.clear();
    scene.add_plugin("q", &[], 1 << 30);
    scene.turn();
    assert!(scene.source.inherited.is_empty());
}

#[test]
fn a_plugin_waits_until_its_checkpoints_can_be_read() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "1\n");
    scene.committed.1.store(true, Ordering::Relaxed);
    scene.check(&[]);
    scene.committed.1.store(false, Ordering::Relaxed);
    scene.check(&["1"]);
    scene.committed.1.store(true, Ordering::Relaxed);
    scene.restart();
    scene.append("a.log", "2\n");
    scene.check(&[]);
    scene.committed.1.store(false, Ordering::Relaxed);
    scene.check(&["2"]);
}

#[test]
fn a_rotated_file_is_read_on_for_who_has_a_place_in_it_and_not_begun_for_others() {
    for start in [Start::End, Start::Beginning] {
        let mut scene = Scene::new(|config| config.start = start);
        scene.turn();
        scene.append("a.log", "1\n");
        scene.check(&["1"]);
        // While nobody looks it grows and gets a name that no pattern has, and a plugin is added.
        scene.append("a.log", "2\n");
        scene.rename("a.log", "a.log.1");
        scene.add_plugin("q", &[], 1 << 30);
        scene.restart();
        scene.check(&["2"]);
        assert_eq!(scene.take(1), [""; 0]);
        // The same when a plugin leaves while the agent runs and comes back.
        scene.append("a.log", "3\n");
        scene.check(&["3"]);
        assert_eq!(scene.take(1), ["3"]);
    }
}

/// Turns until there is nothing to do; never more files are open than allowed.
fn turn_with_few_open(scene: &mut Scene) {
    let mut buffers = Buffers::default();
    for _ in 0..20 {
        scene.pass(1);
        while scene.source.turn(scene.clock, &mut buffers) == Activity::Progress {}
        assert!(scene.source.status().open_files <= scene.config.max_open_files);
    }
}

#[test]
fn files_beyond_the_bound_begin_where_the_others_do() {
    let mut scene = Scene::new(|config| (config.max_open_files, config.start) = (2, Start::End));
    let names: Vec<String> = (0..6).map(|file| format!("{file}.log")).collect();
    names.iter().for_each(|name| scene.append(name, "old\n"));
    turn_with_few_open(&mut scene);
    assert_eq!(scene.source.tails.len(), 6);
    assert!(scene.take(0).is_empty());
    for round in 0..3 {
        names.iter().for_each(|name| scene.append(name, &format!("{name} {round}\n")));
        turn_with_few_open(&mut scene);
        let mut records = scene.take(0);
        records.sort();
        let expected: Vec<String> = names.iter().map(|name| format!("{name} {round}")).collect();
        assert_eq!(records, expected);
    }
}

#[test]
fn closed_files_that_were_renamed_are_read_to_their_end() {
    let mut scene = Scene::new(|config| config.max_open_files = 2);
    let names: Vec<String> = (0..6).map(|file| format!("{file}.log")).collect();
    names.iter().for_each(|name| scene.append(name, "begin\n"));
    turn_with_few_open(&mut scene);
    assert_eq!(scene.take(0).len(), 6);
    for name in &names {
        scene.append(name, &format!("{name}\n"));
        scene.rename(name, &format!("{name}.1"));
    }
    // The open ones are closed when nothing was added for a while.
    for _ in 0..6 {
        turn_with_few_open(&mut scene);
    }
    let mut records = scene.take(0);
    records.sort();
    assert_eq!(records, names);
}

#[test]
fn files_of_a_plugin_without_room_do_not_keep_others_from_theirs() {
    let mut scene = Scene::new(|config| config.max_open_files = 1);
    scene.add_plugin("stuck", &[], 1);
    let mut expected = Vec::new();
    for round in 0..3 {
        for name in ["a.log", "b.log", "c.log"] {
            scene.append(name, &format!("{name} {round}\n"));
            expected.push(format!("{name} {round}"));
        }
        turn_with_few_open(&mut scene);
    }
    let mut records = scene.take(0);
    records.sort();
    expected.sort();
    assert_eq!(records, expected);
    let mut late = Vec::new();
    for _ in 0..30 {
        late.extend(scene.take_some(1, 1));
        turn_with_few_open(&mut scene);
    }
    late.sort();
    assert_eq!(late, expected);
}
