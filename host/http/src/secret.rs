//! Passwords, keys and tokens: read from a file or a variable, never shown.
//!
//! No setting holds a secret itself. A setting `token_file` names a file, `token_env` an environment
//! variable; what they hold becomes a [`Secret`], which neither `Debug` nor `Serialize` shows.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// A text that must not appear in logs, in the API or in messages.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What is shown instead.
pub(crate) const SHOWN: &str = "[secret]";

/// Larger files are no secrets but mistakes. The longest tokens in use, those with a list of groups in them, have
/// some 16 KiB.
const MAX_SECRET: u64 = 64 << 10;

/// Why a secret cannot be had. The messages never hold any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error(
        "the secret's file {file} cannot be read: {cause}; check that it exists and that the agent's user may read it"
    )]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is no secret.
    #[error("the secret's file {file} {what}; write the secret alone into it")]
    Unfit {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The variable is not set, is empty, or is no UTF-8.
    #[error("the environment variable {variable} holds no secret; set it for the agent")]
    NoVariable {
        /// Its name.
        variable: String,
    },
}

impl Secret {
    /// The text of a file, without the line end that editors add.
    pub fn from_file(file: &Path) -> Result<Self, SecretError> {
        let unreadable = |cause| SecretError::Unreadable { file: file.into(), cause };
        let unfit = |what| SecretError::Unfit { file: file.into(), what };
        let mut text = Vec::new();
        let file_itself = std::fs::File::open(file).map_err(unreadable)?;
        file_itself.take(MAX_SECRET + 1).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_SECRET {
            return Err(unfit("is larger than 64 KiB"));
        }
        let text = String::from_utf8(text).map_err(|_| unfit("is no UTF-8 text"))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(unfit("is empty")),
            secret => Ok(Self(secret.to_owned())),
        }
    }

    /// The text of an environment variable.
    pub fn from_variable(variable: &str) -> Result<Self, SecretError> {
        match std::env::var(variable) {
            Ok(text) if !text.is_empty() => Ok(Self(text)),
            _ => Err(SecretError::NoVariable { variable: variable.to_owned() }),
        }
    }

    /// The secret itself, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SHOWN)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "hunter2\n").unwrap();
        let secret = Secret::from_file(&file).unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        let shown = format!("{secret:?} {:#?} {}", Some(&secret), serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_is_no_secret_says_which_file() {
        let folder = tempfile::tempdir().unwrap();
        for (content, expected) in
            [(None, "cannot be read"), (Some(&b"\n"[..]), "is empty"), (Some(&[0xff]), "UTF-8")]
        {
            let file = folder.path().join("secret");
            let _ = std::fs::remove_file(&file);
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let error = Secret::from_file(&file).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(file.to_str().unwrap()), "{error}");
        }
        let error = Secret::from_variable("PICKET_TEST_NO_SUCH_VARIABLE").unwrap_err().to_string();
        assert!(error.contains("PICKET_TEST_NO_SUCH_VARIABLE"), "{error}");
    }
}
