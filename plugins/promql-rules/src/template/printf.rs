//! `printf` with the verbs of Go's package `fmt`.

use super::text::quote;
use super::value::Value;
use super::{number, print};

/// The widest that a value is filled up to, and the most digits. Go takes a million.
const MAX_WIDTH: usize = 1_000;

/// What stands between `%` and the verb.
#[derive(Debug, Default, Clone, Copy)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats values.
pub(super) fn printf(format: &str, values: &[Value]) -> String {
    let mut output = String::new();
    let mut values = values.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            output.push(c);
            continue;
        }
        let flags = flags(&mut chars, &mut values);
        match chars.next() {
            None => output.push_str("%!(NOVERB)"),
            Some('%') => output.push('%'),
            Some(verb) => match values.next() {
                None => output.push_str(&format!("%!{verb}(MISSING)")),
                Some(value) => output.push_str(&one(verb, flags, value)),
            },
        }
    }
    let extra: Vec<String> = values.map(|value| format!("{}={}", value.kind(), print::show(value))).collect();
    if !extra.is_empty() {
        output.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    output
}

fn flags<'a>(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    values: &mut impl Iterator<Item = &'a Value>,
) -> Flags {
    let mut flags = Flags::default();
    while let Some(flag) = chars.next_if(|c| "+-# 0".contains(*c)) {
        match flag {
            '+' => flags.plus = true,
            '-' => flags.minus = true,
            '#' => flags.sharp = true,
            ' ' => flags.space = true,
            _ => flags.zero = true,
        }
    }
    let mut size = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        if chars.next_if_eq(&'*').is_some() {
            return match values.next() {
                Some(Value::Int(size)) => usize::try_from(*size).ok().map(|size| size.min(MAX_WIDTH)),
                _ => None,
            };
        }
        let mut size = None;
        while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
            chars.next();
            size = Some((size.unwrap_or(0) * 10 + digit as usize).min(MAX_WIDTH));
        }
        size
    };
    flags.width = size(chars).unwrap_or(0);
    if chars.next_if_eq(&'.').is_some() {
        flags.precision = Some(size(chars).unwrap_or(0));
    }
    flags
}

fn one(verb: char, flags: Flags, value: &Value) -> String {
    let formatted = match (verb, value) {
        ('v', Value::Float(value)) => Some(float('g', flags, *value)),
        ('v', Value::Text(text)) if flags.sharp => Some(quote(text)),
        ('v', Value::Text(text)) => Some(cut(text, flags)),
        ('v', Value::Int(value)) => Some(signed(*value, flags)),
        ('v', value) => Some(print::show(value)),
        ('T', value) => Some(value.kind().to_owned()),
        ('t', Value::Bool(value)) => Some(value.to_string()),
        ('d', Value::Int(value) | Value::Duration(value)) => Some(signed(*value, flags)),
        (_, Value::Int(value)) => integer(verb, flags, *value),
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(value)) => Some(float(verb, flags, *value)),
        ('s', Value::Text(text)) => Some(cut(text, flags)),
        ('q', Value::Text(text)) => Some(quote(&cut(text, flags))),
        ('x', Value::Text(text)) => Some(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
        ('X', Value::Text(text)) => Some(text.bytes().map(|byte| format!("{byte:02X}")).collect()),
        ('s', Value::Time(_) | Value::Duration(_) | Value::Labels(_)) => Some(print::show(value)),
        _ => None,
    };
    match formatted {
        Some(text) => fill(text, flags, matches!(value, Value::Int(_) | Value::Float(_))),
        None => format!("%!{verb}({}={})", value.kind(), print::show(value)),
    }
}

fn cut(text: &str, flags: Flags) -> String {
    text.chars().take(flags.precision.unwrap_or(usize::MAX)).collect()
}

fn signed(value: i64, flags: Flags) -> String {
    let digits = value.unsigned_abs().to_string();
    let zeros = flags.precision.unwrap_or(0).saturating_sub(digits.len());
    format!("{}{}{digits}", sign(value < 0, flags), "0".repeat(zeros))
}

fn sign(is_negative: bool, flags: Flags) -> &'static str {
    match is_negative {
        true => "-",
        false if flags.plus => "+",
        false if flags.space => " ",
        false => "",
    }
}

fn integer(verb: char, flags: Flags, value: i64) -> Option<String> {
    let character = || u32::try_from(value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
    let (prefix, digits) = match verb {
        'x' => ("0x", format!("{:x}", value.unsigned_abs())),
        'X' => ("0X", format!("{:X}", value.unsigned_abs())),
        'o' => ("0", format!("{:o}", value.unsigned_abs())),
        'b' => ("0b", format!("{:b}", value.unsigned_abs())),
        'c' => return Some(character().to_string()),
        'q' => return Some(format!("'{}'", character().escape_default())),
        'U' => return Some(format!("U+{value:04X}")),
        _ => return None,
    };
    let prefix = if flags.sharp { prefix } else { "" };
    Some(format!("{}{prefix}{digits}", sign(value < 0, flags)))
}

fn float(verb: char, flags: Flags, value: f64) -> String {
    let text = match verb {
        'e' | 'E' => number::e(value, Some(flags.precision.unwrap_or(6))),
        'f' | 'F' => number::f(value, Some(flags.precision.unwrap_or(6))),
        _ => number::g(value, flags.precision),
    };
    let text = if verb.is_ascii_uppercase() && value.is_finite() { text.to_uppercase() } else { text };
    match text.strip_prefix('+').unwrap_or(&text) {
        // `+Inf` has its sign only when one is asked for.
        bare if value.is_nan() || value.is_sign_negative() => bare.to_owned(),
        "Inf" if !flags.plus && !flags.space => "+Inf".to_owned(),
        bare => format!("{}{bare}", sign(false, flags)),
    }
}

/// Fills a value up to its width.
fn fill(text: String, flags: Flags, is_number: bool) -> String {
    let missing = flags.width.saturating_sub(text.chars().count());
    let zeros = flags.zero && !flags.minus && !text.ends_with("Inf") && !text.ends_with("NaN");
    match (flags.minus, zeros) {
        (true, _) => text + &" ".repeat(missing),
        (false, true) if is_number && text.starts_with(['-', '+', ' ']) => {
            format!("{}{}{}", &text[..1], "0".repeat(missing), &text[1..])
        }
        (false, true) => "0".repeat(missing) + &text,
        (false, false) => " ".repeat(missing) + &text,
    }
}
