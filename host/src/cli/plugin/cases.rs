//! The cases of a project's `plugin.toml`: what a plugin is given and what it is expected to return.
//!
//! The same file holds the plugin's section as an operator would write it, and a case runs with the
//! section's grants, limits, assets and settings: a section that does not suffice shows in a test. Only
//! reads; what was expected is compared in `compare`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::Deserialize;
use toml::Spanned;

use super::exposition;
use crate::lifecycle::config::PluginConfig;
use crate::model::Span;

/// A file of cases.
#[derive(Debug)]
pub(super) struct Cases {
    /// The file.
    pub(super) file: PathBuf,
    text: String,
    /// The plugin's section; the default one grants nothing.
    pub(super) section: PluginConfig,
    /// In the order of the file.
    pub(super) cases: Vec<Spanned<Case>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    plugins: BTreeMap<String, PluginConfig>,
    #[serde(default)]
    case: Vec<Spanned<Case>>,
}

/// One thing to try.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What it shows, as a sentence.
    pub(super) name: String,
    /// Settings in place of the section's.
    pub(super) config: Option<serde_json::Map<String, serde_json::Value>>,
    /// Records for an analyzer.
    lines: Option<Vec<String>>,
    /// A file beside `plugin.toml`: its lines for an analyzer, itself for a scanner or unpacker, metrics as
    /// text for an alert rule.
    input: Option<PathBuf>,
    /// The content of a file for a scanner or unpacker.
    content: Option<String>,
    /// What the scanner or unpacker is told as the file's path.
    path: Option<String>,
    /// And as its permission bits, in octal.
    mode: Option<String>,
    /// Values of series for an alert rule, the last of them at the time of the evaluation.
    series: Option<BTreeMap<String, Vec<f64>>>,
    /// The time between two of them.
    interval: Option<Span>,
    /// What it should return; what is not named is not looked at.
    #[serde(default)]
    pub(super) expect: Expect,
}

/// What a plugin should return.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// A part of the error that `configure` or a call gives.
    pub(super) error: Option<Spanned<String>>,
    /// All findings in their order.
    pub(super) findings: Option<Spanned<Vec<Spanned<Finding>>>>,
    /// How much counters grew over the whole case.
    #[serde(default)]
    pub(super) counters: BTreeMap<String, Spanned<f64>>,
    /// The last values of samples.
    #[serde(default)]
    pub(super) samples: BTreeMap<String, Spanned<f64>>,
    /// `clean`, `skipped`, `suspicious` or `malicious`.
    pub(super) verdict: Option<Spanned<String>>,
    /// The verdict's reason, whole.
    pub(super) reason: Option<Spanned<String>>,
    /// Whether an unpacker opens the file.
    pub(super) container: Option<Spanned<bool>>,
    /// All members of the container in their order.
    pub(super) members: Option<Spanned<Vec<Spanned<Member>>>>,
    /// All alerts that hold, by group and rule in the plugin's order.
    pub(super) alerts: Option<Spanned<Vec<Spanned<Alert>>>>,
}

/// A finding; fields that are absent may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Finding {
    pub(super) rule: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) message: Option<String>,
    /// The whole record that it is about.
    pub(super) record: Option<String>,
    /// Some of its attributes.
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
}

/// A member of a container.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    pub(super) path: Option<String>,
    /// The whole content.
    pub(super) text: Option<String>,
    /// How much was read of it.
    pub(super) bytes: Option<u64>,
    /// In lower-case hexadecimal.
    pub(super) sha256: Option<String>,
}

/// An alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alert {
    pub(super) group: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) value: Option<f64>,
    /// How long it has to hold before it fires.
    #[serde(rename = "for")]
    pub(super) hold_for: Option<Span>,
    /// Some of its labels.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// Some of its annotations.
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

/// What a plugin is given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    /// A file, to be taken as the plugin's kind takes one.
    File(PathBuf),
    /// Records.
    Lines(Vec<String>),
    /// A file that exists only for the case.
    Content {
        /// Its bytes.
        content: String,
        /// Its path.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Series and their values at even times.
    Series {
        /// By name and labels.
        values: BTreeMap<String, Vec<f64>>,
        /// Between two values.
        interval: Span,
    },
}

impl Cases {
    /// Reads a file and checks all its cases; `plugin` is whose section is taken.
    pub(super) fn read(file: &Path, plugin: &str) -> anyhow::Result<Self> {
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
        let File { mut plugins, case } =
            toml::from_str(&text).map_err(|error| anyhow!("{shown}: {}", error.to_string().trim_end()))?;
        let section = plugins.remove(plugin);
        if let (None, Some(other)) = (&section, plugins.keys().next()) {
            bail!(
                "{shown} has a section for `{other}` and none for the plugin: call it `[plugins.{plugin}]`"
            );
        }
        let cases = Self { file: file.to_owned(), text, section: section.unwrap_or_default(), cases: case };
        for case in &cases.cases {
            cases.check(case.get_ref()).with_context(|| cases.place(case.span().start))?;
        }
        Ok(cases)
    }

    fn check(&self, case: &Case) -> anyhow::Result<()> {
        self.input(case)?;
        let expected = case.expect.counters.keys().chain(case.expect.samples.keys());
        expected.chain(case.series.iter().flatten().map(|(series, _)| series)).try_for_each(|series| {
            exposition::series(series).with_context(|| format!("`{series}` is no series"))?;
            Ok(())
        })
    }

    /// What the plugin is given in a case.
    pub(super) fn input(&self, case: &Case) -> anyhow::Result<Input> {
        let Case { lines, input, content, path, mode, series, interval, .. } = case;
        let given = [lines.is_some(), input.is_some(), content.is_some(), series.is_some()];
        ensure!(
            given.iter().filter(|given| **given).count() == 1,
            "the case `{}` needs one of `lines`, `input`, `content` and `series`",
            case.name
        );
        let of = |key: &str, other: &str, present: bool, allowed: bool| {
            ensure!(allowed || !present, "`{key}` stands only beside `{other}`");
            Ok(())
        };
        of("path", "content", path.is_some(), content.is_some())?;
        of("mode", "content", mode.is_some(), content.is_some())?;
        of("interval", "series", interval.is_some(), series.is_some())?;
        if let Some(lines) = lines {
            return Ok(Input::Lines(lines.clone()));
        }
        if let Some(content) = content {
            let mode = mode.as_deref().unwrap_or("0644");
            let mode = u32::from_str_radix(mode, 8)
                .with_context(|| format!("`mode` is `{mode}`, not permission bits such as \"0755\""))?;
            let path = path.clone().unwrap_or_else(|| "/srv/file".to_owned());
            return Ok(Input::Content { content: content.clone(), path, mode });
        }
        if let Some(values) = series {
            let interval = interval.unwrap_or(Span::seconds(60));
            return Ok(Input::Series { values: values.clone(), interval });
        }
        let folder = self.file.parent().unwrap_or(Path::new(""));
        Ok(Input::File(folder.join(input.as_deref().unwrap_or(Path::new("")))))
    }

    /// File and line of a place in the text.
    pub(super) fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or_default();
        format!("{}:{}", self.file.display(), before.matches('\n').count() + 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> anyhow::Result<Cases> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin.toml");
        fs::write(&file, text).unwrap();
        Cases::read(&file, "web")
    }

    #[test]
    fn a_case_says_what_is_given_and_what_is_expected() {
        let cases = read(
            "[plugins.web]\nsources = [\"x\"]\ngrants.state = \"1MiB\"\n\n\
             [[case]]\nname = \"one\"\nlines = [\"a\"]\nexpect.counters = { 'a_total{b=\"c\"}' = 1 }\n\n\
             [[case]]\nname = \"two\"\ncontent = \"x\"\nmode = \"4755\"\n\
             expect.verdict = \"clean\"\n\n\
             [[case]]\nname = \"three\"\nseries = { up = [0, 1.5] }\ninterval = \"5m\"\n\
             [[case.expect.alerts]]\nrule = \"r\"\nfor = \"10m\"\n",
        )
        .unwrap();
        assert!(cases.section.grants.state.is_some());
        let inputs: Vec<Input> =
            cases.cases.iter().map(|case| cases.input(case.get_ref()).unwrap()).collect();
        assert_eq!(inputs[0], Input::Lines(vec!["a".into()]));
        let content = Input::Content { content: "x".into(), path: "/srv/file".into(), mode: 0o4755 };
        assert_eq!(inputs[1], content);
        let values = [("up".to_owned(), vec![0.0, 1.5])].into();
        assert_eq!(inputs[2], Input::Series { values, interval: Span::seconds(300) });
        let place = |offset| cases.place(offset).rsplit_once(':').unwrap().1.to_owned();
        assert_eq!(place(cases.cases[1].span().start), "10");
        let expect = &cases.cases[1].get_ref().expect;
        assert_eq!(place(expect.verdict.as_ref().unwrap().span().start), "14");
        let alerts = cases.cases[2].get_ref().expect.alerts.as_ref().unwrap();
        assert_eq!(alerts.get_ref()[0].get_ref().hold_for, Some(Span::seconds(600)));
        assert_eq!(place(alerts.get_ref()[0].span().start), "20");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, says) in [
            ("[[case]]\nname = \"x\"\n", "plugin.toml:1: the case `x` needs one of"),
            (
                "\n[[case]]\nname = \"x\"\nlines = []\ncontent = \"\"\n",
                "plugin.toml:2: the case `x` needs one",
            ),
            ("[[case]]\nname = \"x\"\nlines = []\nmode = \"0644\"\n", "`mode` stands only beside `content`"),
            ("[[case]]\nname = \"x\"\ncontent = \"\"\nmode = \"rwx\"\n", "not permission bits"),
            ("[[case]]\nname = \"x\"\nseries = { 'up{' = [1] }\n", "`up{` is no series"),
            ("[[case]]\nname = \"x\"\nlnes = []\n", "line 3"),
            ("[[case]]\nname = \"x\"\nlines = []\nexpect.verdict = 3\n", "line 4"),
            ("[plugins.wbe]\n", "call it `[plugins.web]`"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
