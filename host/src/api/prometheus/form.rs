//! The parameters of a request: in its address, and with POST also in its body, as forms have them.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{Method, header};

use super::super::routes::MAX_BODY;
use super::failure::{Failure, Sort};

/// What forms are sent as.
const FORM: &str = "application/x-www-form-urlencoded";

/// Names and values in the order in which they count: a body's come first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) async fn read(request: Request) -> Result<Self, Failure> {
        let address = request.uri().query().unwrap_or_default().to_owned();
        let is_form = request.method() == Method::POST
            && request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
                kind.to_str().is_ok_and(|kind| kind.split(';').next().unwrap_or_default().trim() == FORM)
            });
        let mut form = Self::default();
        if is_form {
            let body = to_bytes(request.into_body(), MAX_BODY).await.map_err(|error| {
                let why =
                    format!("the request's body cannot be read ({error}); {MAX_BODY} bytes at most are");
                Failure::new(Sort::BadData, why)
            })?;
            form.add(&body);
        }
        form.add(address.as_bytes());
        Ok(form)
    }

    fn add(&mut self, text: &[u8]) {
        self.0.extend(form_urlencoded::parse(text).map(|(name, value)| (name.into(), value.into())));
    }

    /// The value that counts; an empty one is as good as none.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// All values of a parameter that may stand more than once.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// What stands in a query string or in a form's body.
    pub(super) fn of(text: impl AsRef<[u8]>) -> Self {
        let mut form = Self::default();
        form.add(text.as_ref());
        form
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use axum::body::Body;

    fn read(method: &str, kind: &str, body: &str) -> Result<Form, Failure> {
        let request = axum::http::Request::builder()
            .method(method)
            .uri("/x?query=up&match[]=a&match%5B%5D=b%7Bc%3D%22d%22%7D&empty=")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.to_owned()))
            .unwrap();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(Form::read(request))
    }

    #[test]
    fn parameters_stand_in_the_address_or_in_the_body() {
        let form = read("GET", "", "").unwrap();
        assert_eq!(form.first("query"), Some("up"));
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["a", "b{c=\"d\"}"]);
        assert_eq!((form.first("empty"), form.first("none")), (None, None));
        let form =
            read("POST", "application/x-www-form-urlencoded; charset=utf-8", "query=a+%2B+b&x=1").unwrap();
        assert_eq!((form.first("query"), form.first("x")), (Some("a + b"), Some("1")));
        let form = read("POST", "application/json", "query=no").unwrap();
        assert_eq!(form.first("query"), Some("up"));
    }

    #[test]
    fn a_large_body_is_not_read() {
        let failure = read("POST", FORM, &"x".repeat(MAX_BODY + 1)).unwrap_err();
        assert_eq!(failure.sort, Sort::BadData);
        assert!(failure.error.contains("65536 bytes"), "{failure:?}");
    }
}
