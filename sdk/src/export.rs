//! The component's exports: generic over the plugin, made concrete by [`register!`](crate::register).
//!
//! Only the traits that a plugin registers become exports, so only they are in the component.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::thread::LocalKey;

use crate::bindings::alert_rule_kind::exports::picket::plugin::alert_rule;
use crate::bindings::analyzer_kind::exports::picket::plugin::analyzer;
use crate::bindings::base::exports::picket::plugin::lifecycle;
use crate::bindings::query_kind::exports::picket::plugin::query;
use crate::bindings::scanner_kind::exports::picket::plugin::scanner;
use crate::bindings::unpacker_kind::exports::picket::plugin::unpacker;
use crate::object::Handle;
use crate::{
    AlertRule, Analyzer, Container, Object, Plugin, Query, RuleResult, Scanner, Unpacker, Verdict, types,
};

pub use crate::instance::Instance;

/// What `register!` makes: the plugin, its version, and where the one instance is kept.
pub trait Component: 'static {
    /// The registered plugin.
    type Plugin: Plugin;
    /// The version of its crate.
    const VERSION: &'static str;
    /// The instance, once it is configured. A component has one thread.
    fn slot() -> &'static LocalKey<RefCell<Option<Instance<Self::Plugin>>>>;
}

/// Implements the WIT's exports for a component.
pub struct Glue<C>(PhantomData<C>);

impl<C: Component> Glue<C> {
    fn with<T>(call: impl FnOnce(&mut Instance<C::Plugin>) -> Result<T, String>) -> Result<T, String> {
        C::slot().with_borrow_mut(|slot| match slot {
            Some(instance) => call(instance),
            None => Err("the plugin was called before `configure`".to_owned()),
        })
    }
}

impl<C: Component> lifecycle::Guest for Glue<C> {
    fn configure(config: String) -> Result<lifecycle::Setup, lifecycle::ConfigError> {
        let (instance, setup) = Instance::configure(&config).map_err(|error| lifecycle::ConfigError {
            key: error.key,
            asset: error.asset,
            line: error.line,
            column: error.column,
            message: error.message,
        })?;
        C::slot().set(Some(instance));
        Ok(lifecycle::Setup { interest: setup.interest, groups: setup.groups })
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        Self::with(|instance| instance.snapshot())
    }

    fn restore(state: Vec<u8>, from_version: String) -> Result<(), String> {
        Self::with(|instance| instance.restore(state, from_version))
    }

    fn plugin_version() -> String {
        C::VERSION.to_owned()
    }
}

impl<C: Component<Plugin: Analyzer>> analyzer::Guest for Glue<C> {
    fn analyze(batch: analyzer::Batch) -> Result<types::Report, String> {
        Self::with(|instance| instance.analyze(batch))
    }
}

impl<C: Component<Plugin: Scanner>> scanner::Guest for Glue<C> {
    fn scan(object: &Handle) -> Result<scanner::ScanReport, String> {
        let (verdict, report) = Self::with(|instance| instance.scan(&Object::lent(object)))?;
        let (verdict, reason) = match verdict {
            Verdict::Clean => (scanner::Verdict::Clean, String::new()),
            Verdict::Suspicious(reason) => (scanner::Verdict::Suspicious, reason),
            Verdict::Malicious(reason) => (scanner::Verdict::Malicious, reason),
            Verdict::Skipped(reason) => (scanner::Verdict::Skipped, reason),
        };
        Ok(scanner::ScanReport { verdict, reason, report })
    }
}

impl<C: Component<Plugin: Unpacker>> unpacker::Guest for Glue<C> {
    type Container = OpenContainer<<C::Plugin as Unpacker>::Container>;

    fn open(object: Handle) -> Result<Option<unpacker::Container>, String> {
        let container = Self::with(|instance| instance.open(Object::owned(object)))?;
        Ok(container.map(|container| unpacker::Container::new(OpenContainer(RefCell::new(container)))))
    }
}

/// An open container as a resource of the component.
pub struct OpenContainer<C>(RefCell<C>);

impl<C: Container> unpacker::GuestContainer for OpenContainer<C> {
    fn next(&self) -> Result<Option<unpacker::Member>, String> {
        Ok(self.0.borrow_mut().next()?)
    }

    fn read(&self, len: u32) -> Result<Vec<u8>, String> {
        Ok(self.0.borrow_mut().read(len as usize)?)
    }
}

impl<C: Component<Plugin: AlertRule>> alert_rule::Guest for Glue<C> {
    fn evaluate(group: String, time: u64) -> Result<Vec<RuleResult>, String> {
        Self::with(|instance| instance.evaluate(&group, time))
    }
}

impl<C: Component<Plugin: Query>> query::Guest for Glue<C> {
    fn evaluate(expression: String, time: query::Time) -> Result<query::Answer, query::QueryError> {
        // Only a plugin that is not configured has an error of its own here.
        let answered = Self::with(|instance| Ok(instance.query(&expression, time)));
        answered.unwrap_or_else(|error| Err(query::QueryError::Failed(error)))
    }
}
