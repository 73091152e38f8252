//! Text for Slack and for those that take the same: Mattermost, Rocket.Chat, Discord under `…/slack`.
//!
//! Only `&`, `<` and `>` are escaped, as Slack asks; that also takes the meaning from `<!channel>` and from links
//! that a log may hold.

use bytes::Bytes;
use picket_model::Frame;
use serde_json::json;

use super::text::Text;

/// The longest text of one message, in characters: Slack recommends fewer than 4,000 and cuts at 40,000.
pub const MAX_MESSAGE: usize = 4000;
/// Between two events of one message: an empty line.
const BETWEEN: &str = "\n\n";

/// An event as text in Slack's markup, at most [`MAX_MESSAGE`] characters.
pub fn text(frame: &Frame, node: &str) -> String {
    let Text { tag, title, lines } = Text::of(frame, node);
    // A title is so short that all of it fits, however much of it is escaped.
    let mut text = Limited { text: String::new(), left: MAX_MESSAGE };
    text.push(&format!("*[{tag}] {title}*"));
    for line in lines {
        text.push("\n");
        text.push(&line);
    }
    text.text
}

/// The body of a request.
pub fn body(text: &str) -> Bytes {
    // Nobody's servers are to be asked for pages that a log names.
    let body = json!({ "text": text, "unfurl_links": false, "unfurl_media": false });
    body.to_string().into_bytes().into()
}

/// Makes as few messages as hold all texts, which keep their order: the numbers of the texts and the message.
pub fn join(texts: &[String]) -> Vec<(Vec<usize>, String)> {
    let mut messages: Vec<(Vec<usize>, String)> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let fits =
            |message: &String| message.chars().count() + BETWEEN.len() + text.chars().count() <= MAX_MESSAGE;
        match messages.last_mut() {
            Some((numbers, message)) if fits(message) => {
                numbers.push(at);
                message.push_str(BETWEEN);
                message.push_str(text);
            }
            _ => messages.push((vec![at], text.clone())),
        }
    }
    messages
}

/// Text that ends before it is too long, and never inside an escaped character.
struct Limited {
    text: String,
    /// In characters.
    left: usize,
}

impl Limited {
    fn push(&mut self, text: &str) {
        for char in text.chars() {
            let mut buffer = [0; 4];
            let escaped = match char {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                other => other.encode_utf8(&mut buffer),
            };
            let length = escaped.chars().count();
            if length > self.left {
                self.left = 0;
                return;
            }
            self.text.push_str(escaped);
            self.left -= length;
        }
    }
}
