//! Reports that break the rules of the interface, and those that only go to their edge.

use picket_sandbox::{CallError, ConfigureError};

use crate::harness::{Plugin, analyze, mode};

fn refused(config: &str, says: &str) {
    let plugin = Plugin::new("hostile");
    let error = analyze(&mut plugin.configured(config), &["a"]).unwrap_err();
    assert!(matches!(&error, CallError::Report { what } if what.contains(says)), "{config}: {error:?}");
    assert_eq!(plugin.linked.label_sets().len(), 0);
}

#[test]
fn what_breaks_a_rule_is_refused_by_name() {
    refused(&mode("bad-rule"), "`Not A Rule`");
    refused(&mode("bad-record"), "record 1, the call had 1");
    refused(&mode("bad-counter"), "`seen`");
    refused(&mode("agents-counter"), "`picket_plugin_calls_total` is the agent's own");
    refused(&mode("agents-histogram"), "`picket_plugin_memory_bytes` is the agent's own");
    refused(&mode("bad-delta"), "`seen_total` grew by NaN");
    refused(&mode("bad-label"), "`__name__`");
}

#[test]
fn a_histogram_keeps_its_bounds() {
    let plugin = Plugin::new("hostile");
    let mut instance = plugin.configured(&mode("changing"));
    let output = analyze(&mut instance, &["a"]).unwrap();
    assert_eq!(output.value.histograms[0].counts, [1, 0]);
    let error = analyze(&mut instance, &["a"]).unwrap_err();
    assert!(matches!(&error, CallError::Report { what } if what.contains("`seconds`")), "{error:?}");
}

#[test]
fn what_is_too_long_is_cut_and_counted() {
    let plugin = Plugin::new("hostile");
    let output = analyze(&mut plugin.configured(&mode("long-value")), &["a"]).unwrap();
    let finding = &output.value.findings[0];
    assert_eq!((finding.message.len(), finding.attributes[0].value.len()), (1024, 4096));
    assert_eq!(plugin.linked.counts().values_cut, 2);
}

#[test]
fn a_refused_configuration_names_the_place() {
    let plugin = Plugin::new("hostile");
    let mut instance = plugin.instance();
    let error = instance.configure(&mode("refuse")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a number is expected (key `burst.limit`, asset `rules/a.txt`, line 7, column 3)"
    );
    assert!(matches!(error, ConfigureError::Refused(_)));
    assert!(!instance.is_live());
}

#[test]
fn a_setup_beyond_its_bounds_is_refused() {
    let plugin = Plugin::new("hostile");
    let mut instance = plugin.instance();
    let error = instance.configure(r#"{"interval": "0"}"#).unwrap_err();
    assert!(matches!(error, ConfigureError::Call(CallError::Report { .. })), "{error:?}");
    assert!(!instance.is_live());
}

#[test]
fn a_version_is_one_short_line() {
    let plugin = Plugin::new("hostile");
    assert_eq!(plugin.configured("{}").plugin_version().unwrap(), "0.1.0");
    let error = plugin.configured(&mode("long-version")).plugin_version().unwrap_err();
    assert!(matches!(error, CallError::Report { .. }), "{error:?}");
}
