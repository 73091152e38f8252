//! Every limit with a guest that breaks it: its own error, in a bounded time, and nothing else harmed.

use std::time::{Duration, Instant};

use picket_sandbox::{
    CallError, Compiler, ConfigureError, Engine, EngineConfig, Grants, Instance, Limits, keys,
};

use crate::harness::{self, Plugin, analyze, component, mode};

/// What may pass beyond a deadline on a machine under load. A guest that is not contained at all
/// runs for an hour, or for ever.
const GRACE: Duration = Duration::from_secs(20);
const DEADLINE: Duration = Duration::from_millis(100);

fn contained(call: impl FnOnce() -> CallError) -> CallError {
    let begun = Instant::now();
    let error = call();
    assert!(begun.elapsed() < DEADLINE + GRACE, "{error} took {:?}", begun.elapsed());
    error
}

fn quick(limits: &mut Limits) {
    limits.call_deadline = DEADLINE;
    limits.configure_deadline = DEADLINE;
}

/// What `analyze` fails with in this mode.
fn failure(config: &str, change: impl FnOnce(&mut Limits)) -> CallError {
    let plugin = Plugin::new("hostile").limits(change);
    let mut instance = plugin.configured(config);
    let error = contained(|| analyze(&mut instance, &["a"]).unwrap_err());
    assert!(!instance.is_live());
    // Another instance of the same generation works.
    analyze(&mut plugin.configured(&mode("echo")), &["b"]).unwrap();
    error
}

#[test]
fn an_endless_loop_ends_at_the_deadline() {
    assert_eq!(
        failure(&mode("loop"), quick),
        CallError::Deadline { limit: DEADLINE, key: keys::CALL_DEADLINE }
    );
}

#[test]
fn endless_host_calls_end_at_the_deadline() {
    assert_eq!(
        failure(&mode("host-calls"), quick),
        CallError::Deadline { limit: DEADLINE, key: keys::CALL_DEADLINE }
    );
}

#[test]
fn every_function_has_a_deadline() {
    let call = |place: &str| {
        let plugin = Plugin::new("hostile").limits(quick);
        let mut instance = plugin.instance();
        let config = format!(r#"{{"mode": "loop", "where": "{place}"}}"#);
        let configured = instance.configure(&config);
        contained(|| match place {
            "configure" => match configured.unwrap_err() {
                ConfigureError::Call(error) => error,
                other => panic!("{other}"),
            },
            "snapshot" => instance.snapshot().unwrap_err(),
            "restore" => instance.restore(b"x", "1").unwrap_err(),
            _ => instance.plugin_version().unwrap_err(),
        })
    };
    for place in ["configure", "snapshot", "restore", "plugin-version"] {
        let key = if place == "plugin-version" { keys::CALL_DEADLINE } else { keys::CONFIGURE_DEADLINE };
        assert_eq!(call(place), CallError::Deadline { limit: DEADLINE, key }, "{place}");
    }
}

#[test]
fn a_start_function_has_a_deadline() {
    let plugin = Plugin::granted(&component("endless-start"), &Grants::default()).limits(quick);
    let error = contained(|| plugin.linked.instantiate(&plugin.services, &plugin.limits).err().unwrap());
    assert_eq!(error, CallError::Deadline { limit: DEADLINE, key: keys::CONFIGURE_DEADLINE });
}

#[test]
fn a_memory_bomb_is_refused_at_its_limit() {
    let limit = 8 << 20;
    let error = failure(&mode("memory"), |limits| limits.memory = limit);
    assert!(matches!(error, CallError::Memory { limit: 8_388_608, wanted } if wanted > limit), "{error:?}");
}

#[test]
fn a_memory_that_is_too_large_from_the_start_is_refused() {
    let plugin = Plugin::granted(&component("growing-start"), &Grants::default());
    let error = plugin.linked.instantiate(&plugin.services, &plugin.limits).err().unwrap();
    assert!(matches!(error, CallError::Memory { .. }), "{error:?}");
}

#[test]
fn a_table_bomb_is_refused_at_its_limit() {
    let plugin = Plugin::granted(&component("table-bomb"), &Grants::default());
    let error = contained(|| plugin.linked.instantiate(&plugin.services, &plugin.limits).err().unwrap());
    assert!(matches!(error, CallError::Tables { limit: 20_000, wanted } if wanted > 20_000), "{error:?}");
}

#[test]
fn many_tables_count_together() {
    let plugin = Plugin::granted(&component("many-tables"), &Grants::default());
    let error = plugin.linked.instantiate(&plugin.services, &plugin.limits).err().unwrap();
    assert!(matches!(error, CallError::Tables { limit: 20_000, .. }), "{error:?}");
}

#[test]
fn too_many_instances_are_refused() {
    let plugin = Plugin::new("hostile").limits(|limits| limits.instances = 1);
    let error = plugin.linked.instantiate(&plugin.services, &plugin.limits).err().unwrap();
    assert!(
        matches!(&error, CallError::Parts { what, key: Some(keys::INSTANCES) } if what.contains("instance")),
        "{error:?}"
    );
}

#[test]
fn recursion_ends_with_the_stack() {
    let error = failure(&mode("stack"), |_| ());
    assert!(matches!(error, CallError::StackOverflow { .. }), "{error:?}");
}

#[test]
fn a_panic_is_told_with_its_message() {
    let error = failure(&mode("trap"), |_| ());
    assert!(
        matches!(&error, CallError::Trap { output, .. } if output.contains("the guest gives up")),
        "{error:?}"
    );
    assert_eq!(error.reason(), "trap");
}

#[test]
fn waiting_and_leaving_end_at_once() {
    let error = failure(&mode("sleep"), |_| ());
    assert!(
        matches!(error, CallError::Waited { function } if function.contains("subscribe-duration")),
        "{error:?}"
    );
    let error = failure(&mode("exit"), |_| ());
    assert!(matches!(error, CallError::Exit { .. }), "{error:?}");
}

#[test]
fn a_huge_result_is_refused() {
    // Within what the host takes at once, and above it.
    for count in [1 << 20, 20 << 20] {
        let config = format!(r#"{{"mode": "large", "count": "{count}"}}"#);
        assert_eq!(failure(&config, |_| ()), CallError::Output { limit: 1 << 20, key: keys::OUTPUT });
    }
}

#[test]
fn too_many_findings_are_refused() {
    let config = r#"{"mode": "findings", "count": "1001"}"#;
    assert_eq!(failure(config, |_| ()), CallError::Findings { found: 1001, limit: 1000 });
    // A million do not even cross.
    let config = r#"{"mode": "findings", "count": "300000"}"#;
    assert_eq!(failure(config, |_| ()), CallError::Output { limit: 1 << 20, key: keys::OUTPUT });
}

#[test]
fn a_snapshot_is_bounded() {
    let plugin = Plugin::new("hostile").limits(|limits| limits.snapshot_bytes = 1000);
    let mut instance = plugin.configured(r#"{"snapshot": "1000"}"#);
    assert_eq!(instance.snapshot().unwrap().len(), 1000);
    let mut instance = plugin.configured(r#"{"snapshot": "1001"}"#);
    assert_eq!(instance.snapshot().unwrap_err(), CallError::Output { limit: 1000, key: keys::SNAPSHOT });
}

#[test]
fn label_sets_are_bounded_over_all_calls_and_instances_of_a_generation() {
    for mode in ["labels", "samples"] {
        let plugin = Plugin::new("hostile");
        let config = format!(r#"{{"mode": "{mode}", "count": "400"}}"#);
        let mut instance = plugin.configured(&config);
        analyze(&mut instance, &["a"]).unwrap();
        analyze(&mut instance, &["a"]).unwrap();
        assert_eq!(plugin.linked.label_sets().len(), 800);
        let error = analyze(&mut instance, &["a"]).unwrap_err();
        assert_eq!(error, CallError::LabelSets { limit: 1000 });
        let mut next = plugin.configured(&config);
        analyze(&mut next, &["a"]).unwrap();
        analyze(&mut next, &["a"]).unwrap();
        let error = analyze(&mut next, &["a"]).unwrap_err();
        assert_eq!(
            error,
            CallError::LabelSets { limit: 1000 },
            "a new instance begins where the old one was"
        );
        assert_eq!(plugin.linked.label_sets().len(), 800);
    }
}

#[test]
fn a_log_flood_is_cut_to_its_burst() {
    for mode in ["log", "stdout", "stderr"] {
        let slow = |limits: &mut Limits| (limits.log_rate, limits.log_burst) = (0, 10);
        let plugin = Plugin::new("hostile").limits(slow);
        let config = format!(r#"{{"mode": "{mode}", "lines": "500"}}"#);
        let mut instance = plugin.configured(&config);
        analyze(&mut instance, &["a"]).unwrap();
        assert_eq!(plugin.log.lines().len(), 10, "{mode}");
        let counts = plugin.linked.counts();
        assert_eq!((counts.log_lines, counts.log_dropped), (10, 490));
        analyze(&mut plugin.configured(&config), &["a"]).unwrap();
        assert_eq!(plugin.log.lines().len(), 10, "a new instance brings no new burst");
    }
}

#[test]
fn one_bad_record_is_found_by_trying_others() {
    let plugin = Plugin::new("hostile");
    let config = r#"{"mode": "trap-on", "poison": "evil"}"#;
    analyze(&mut plugin.configured(config), &["good", "evil", "fine"]).unwrap_err();
    analyze(&mut plugin.configured(config), &["good", "fine"]).unwrap();
}

#[test]
fn all_guests_share_the_agents_memory() {
    let engine = Engine::new(EngineConfig { memory_budget: 6 << 20, ..EngineConfig::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let compiler = Compiler::new(engine.clone(), harness::config(folder.path().join("cache"))).unwrap();
    let component = compiler.compile(&picket_guests_build::component("hostile")).unwrap();
    let plugin = Plugin::of(&component);
    let quiet = plugin.configured(&mode("echo"));
    assert!(engine.memory_used() >= quiet.memory_bytes());
    let mut greedy = plugin.configured(&mode("memory"));
    let error = analyze(&mut greedy, &["a"]).unwrap_err();
    assert!(matches!(error, CallError::Budget { limit, .. } if limit == 6 << 20), "{error:?}");
    drop((quiet, greedy));
    assert_eq!(engine.memory_used(), 0);
}

#[test]
fn a_hundred_failures_leave_nothing_behind() {
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let compiler = Compiler::new(engine.clone(), harness::config(folder.path().join("cache"))).unwrap();
    let bytes = picket_guests_build::component("hostile");
    for round in 0..100 {
        let plugin = Plugin::of(&compiler.compile(&bytes).unwrap());
        let mut instance: Instance = plugin.instance();
        match round % 2 {
            0 => assert!(instance.configure(&mode("refuse")).is_err()),
            _ => {
                instance.configure(&mode("trap")).unwrap();
                assert!(analyze(&mut instance, &["a"]).is_err());
            }
        }
    }
    assert_eq!(engine.memory_used(), 0);
    assert_eq!(compiler.counts().compiled, 1);
}
