//! Random writes and sweeps against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<Write>),
    Purge(u64, usize),
    Reopen,
}

fn write() -> impl Strategy<Value = Write> {
    let plugin = prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
    let key = prop::collection::vec(0u8..4, 0..3);
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        (any::<u8>(), 0usize..13_000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    let set = (plugin.clone(), key.clone(), value, prop::option::of(1u64..50));
    prop_oneof![
        3 => set.prop_map(|(plugin, key, value, expires)| Write::PluginSet { plugin, key, value, expires }),
        1 => (plugin, key).prop_map(|(plugin, key)| Write::PluginDelete { plugin, key }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(write(), 0..6).prop_map(Step::Apply),
        1 => (0u64..60, 0usize..5).prop_map(|(now, limit)| Step::Purge(now, limit)),
        1 => Just(Step::Reopen),
    ]
}

type Model = BTreeMap<(String, Vec<u8>), (Vec<u8>, Option<u64>)>;

fn note(model: &mut Model, write: Write) {
    match write {
        Write::PluginSet { plugin, key, value, expires } => {
            model.insert((plugin, key), (value, expires));
        }
        Write::PluginDelete { plugin, key } => {
            model.remove(&(plugin, key));
        }
        _ => unreachable!("no other writes are made here"),
    }
}

fn purge(model: &mut Model, now: u64, limit: usize) -> usize {
    let mut expired: Vec<_> = model
        .iter()
        .filter_map(|(key, (_, expires))| expires.filter(|at| *at <= now).map(|at| (at, key.clone())))
        .collect();
    expired.sort();
    expired.truncate(limit);
    expired.iter().for_each(|(_, key)| drop(model.remove(key)));
    expired.len()
}

fn check(state: &State, model: &Model, now: u64) {
    for plugin in ["a", "b"] {
        let own = || model.iter().filter(|((owner, _), _)| owner == plugin);
        let seen: Vec<_> = own()
            .filter(|(_, (_, expires))| expires.is_none_or(|at| at > now))
            .map(|((_, key), (value, _))| (key.clone(), value.clone()))
            .collect();
        assert_eq!(state.plugin_scan(plugin, b"", None, 1000, now).unwrap(), seen);
        for (key, value) in &seen {
            assert_eq!(state.plugin_get(plugin, key, now).unwrap().as_ref(), Some(value));
        }
        let bytes: usize = own().map(|((_, key), (value, _))| key.len() + value.len()).sum();
        assert_eq!(state.plugin_bytes(plugin).unwrap(), bytes as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_state_is_a_map_with_expiry_and_exact_accounts(steps in prop::collection::vec(step(), 0..25)) {
        let table = Arc::new(MemoryTable::new(0));
        let mut state = State::with_table(table.clone()).unwrap();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Apply(writes) => {
                    apply(&state, &writes);
                    writes.into_iter().for_each(|write| note(&mut model, write));
                }
                Step::Purge(now, limit) => {
                    prop_assert_eq!(state.purge_expired(now, limit).unwrap(), purge(&mut model, now, limit));
                }
                Step::Reopen => {
                    state.sync().unwrap();
                    table.power_cut();
                    state = State::with_table(table.clone()).unwrap();
                }
            }
            check(&state, &model, 25);
        }
        // Without the values nothing is left but the accounts and the state's own facts.
        for (plugin, key) in model.keys() {
            apply(&state, &[Write::PluginDelete { plugin: plugin.clone(), key: key.clone() }]);
        }
        prop_assert!(keys(&state).iter().all(|key| matches!(key[0], b'a' | b'f' | b'q')));
    }
}
