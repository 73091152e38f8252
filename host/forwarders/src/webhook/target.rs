//! Where events go, and how the place is shown: a URL that came from a file or a variable only by its scheme
//! and host.

use std::path::{Path, PathBuf};

use picket_model::Severity;

use super::config::{Config, MAX_ROUTES};
use picket_http::secret::{Secret, SecretError};
use picket_http::{Answer, Url};

/// Shorter pieces of a URL's path are words and no secrets.
const SECRET_PIECE: usize = 6;

/// One receiver. It has no `Debug`, since its URL may be a secret.
pub(super) struct Target {
    pub(super) url: Url,
    /// For messages.
    pub(super) place: String,
    is_secret: bool,
}

/// All of them, in the order of the routes.
pub(super) struct Targets {
    targets: Vec<(Severity, Target)>,
}

/// It cannot be said where events go. The messages never hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Neither a URL nor a route.
    #[error("there is nowhere to send to; set `url`, `url_file`, `url_env` or `routes`")]
    Nowhere,
    /// Not one URL where one should be.
    #[error("{0}: set one of `url`, `url_file` and `url_env`")]
    NotOne(String),
    /// More routes than are useful.
    #[error("`routes` has {0} routes; {MAX_ROUTES} are possible")]
    Routes(usize),
    /// See [`SecretError`].
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// What was found there is no URL.
    #[error("what `{0}` holds is no URL; write `https://HOST/PATH` there and nothing else")]
    NoUrl(String),
}

/// The three ways to name a URL.
type Named<'a> = (Option<&'a Url>, Option<&'a PathBuf>, Option<&'a String>);

impl Targets {
    /// Reads the files and variables that hold URLs.
    pub(super) fn read(config: &Config) -> Result<Self, TargetError> {
        if config.routes.len() > MAX_ROUTES {
            return Err(TargetError::Routes(config.routes.len()));
        }
        let mut targets = Vec::new();
        for (at, route) in config.routes.iter().enumerate() {
            let named = (route.url.as_ref(), route.url_file.as_ref(), route.url_env.as_ref());
            let what = format!("`routes`, number {}", at + 1);
            let target = Target::read(named, &what)?.ok_or(TargetError::NotOne(what))?;
            targets.push((route.min_severity, target));
        }
        let named = (config.url.as_ref(), config.url_file.as_ref(), config.url_env.as_ref());
        if let Some(rest) = Target::read(named, "this forwarder")? {
            targets.push((Severity::Info, rest));
        }
        if targets.is_empty() { Err(TargetError::Nowhere) } else { Ok(Self { targets }) }
    }

    /// The number of the first receiver that an event of this severity goes to, if there is one.
    pub(super) fn number_for(&self, severity: Severity) -> Option<usize> {
        self.targets.iter().position(|(least, _)| severity >= *least)
    }

    /// How many receivers there are; they have the numbers before.
    pub(super) fn count(&self) -> usize {
        self.targets.len()
    }

    /// A receiver by its number.
    pub(super) fn get(&self, number: usize) -> &Target {
        &self.targets[number].1
    }

    /// All receivers.
    pub(super) fn all(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().map(|(_, target)| target)
    }
}

impl Target {
    fn read((url, file, variable): Named<'_>, what: &str) -> Result<Option<Self>, TargetError> {
        match (url, file, variable) {
            (None, None, None) => Ok(None),
            (Some(url), None, None) => Ok(Some(Self::open(url.clone()))),
            (None, Some(file), None) => Self::secret(&Secret::from_file(file)?, &shown(file)).map(Some),
            (None, None, Some(variable)) => {
                Self::secret(&Secret::from_variable(variable)?, variable).map(Some)
            }
            _ => Err(TargetError::NotOne(what.to_owned())),
        }
    }

    fn open(url: Url) -> Self {
        Self { place: url.shown(), url, is_secret: false }
    }

    fn secret(secret: &Secret, from: &str) -> Result<Self, TargetError> {
        // The error of the URL would show a part of it.
        let url: Url = secret.reveal().trim().parse().map_err(|_| TargetError::NoUrl(from.to_owned()))?;
        Ok(Self { place: root(&url), url, is_secret: true })
    }

    /// The top of the receiver's site.
    pub(super) fn root(&self) -> String {
        root(&self.url)
    }

    /// What the receiver said, for messages. It may have said our own secret back to us, whole or in part.
    pub(super) fn said(&self, answer: &Answer) -> String {
        let uri = self.url.uri();
        let whole = match self.is_secret {
            true => uri.path_and_query().map(|whole| whole.as_str()),
            false => uri.query(),
        };
        let Some(whole) = whole else { return answer.said() };
        let pieces = whole.split(['/', '?', '&', '=']).filter(|piece| piece.len() >= SECRET_PIECE);
        let path = if self.is_secret { uri.path() } else { "" };
        let parts = [whole, path].into_iter().filter(|part| part.len() > 1).chain(pieces);
        // Before it is cut, so that no half of a secret is left.
        let body = parts.fold(String::from_utf8_lossy(&answer.body).into_owned(), |body, part| {
            body.replace(part, "[secret]")
        });
        Answer { body: body.into_bytes(), ..answer.clone() }.said()
    }
}

fn root(url: &Url) -> String {
    let authority = url.uri().authority().map(|authority| authority.as_str()).unwrap_or_default();
    format!("{}://{authority}", url.uri().scheme_str().unwrap_or_default())
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}
