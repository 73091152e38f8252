//! What stands in `Authorization`: made from files and variables, never shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;

use super::mask::Mask;
use super::{BasicAuth, ClientError, Config, ConfigError};
use crate::secret::Secret;

/// The header's value, read now; none when neither a password nor a token is configured. What of it is secret is hidden.
pub(super) fn authorization(config: &Config, mask: &mut Mask) -> Result<Option<HeaderValue>, ClientError> {
    if let Some(BasicAuth { username, password_file, password_env }) = &config.basic_auth {
        let password = match (password_file, password_env) {
            (Some(file), _) => Secret::from_file(file)?,
            (None, Some(variable)) => Secret::from_variable(variable)?,
            (None, None) => return Ok(None),
        };
        // RFC 7617, section 2.
        let pair = STANDARD.encode(format!("{username}:{}", password.reveal()));
        mask.secret(password.reveal());
        mask.secret(&pair);
        return sensitive(&format!("Basic {pair}"), "basic_auth").map(Some);
    }
    // RFC 6750, section 2.1.
    let (token, key) = match (&config.bearer_token_file, &config.bearer_token_env) {
        (Some(file), _) => (Secret::from_file(file)?, "bearer_token_file"),
        (None, Some(variable)) => (Secret::from_variable(variable)?, "bearer_token_env"),
        (None, None) => return Ok(None),
    };
    mask.secret(token.reveal().trim());
    sensitive(&format!("Bearer {}", token.reveal().trim()), key).map(Some)
}

fn sensitive(text: &str, key: &str) -> Result<HeaderValue, ClientError> {
    let what = "holds characters that no header can carry; write the token alone, in one line";
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| ConfigError { key: key.to_owned(), what: what.to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}
