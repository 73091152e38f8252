//! Points and lengths of time as Go prints them.

const DAY: i64 = 86_400_000;

/// A time in milliseconds since 1970, as `2015-06-23 13:19:44.128 +0000 UTC`.
pub(super) fn show(milliseconds: i64) -> String {
    let (year, month, day) = date(milliseconds.div_euclid(DAY));
    let of_day = milliseconds.rem_euclid(DAY);
    let (seconds, fraction) = (of_day / 1000, of_day % 1000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = match fraction {
        0 => String::new(),
        fraction => format!(".{fraction:03}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02} {clock}{fraction} +0000 UTC")
}

/// Year, month and day of a day since 1970. The algorithm is Howard Hinnant's "civil_from_days".
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// A length of time in nanoseconds, as `1h30m0.5s` or `1.5ms`.
pub(super) fn show_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let size = nanoseconds.unsigned_abs();
    let (unit, factor): (&str, u64) = match size {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (hours, minutes, rest) = match unit {
        "s" => (size / 3_600_000_000_000, size / 60_000_000_000 % 60, size % 60_000_000_000),
        _ => (0, 0, size),
    };
    let digits = factor.ilog10() as usize;
    let fraction = format!("{:0digits$}", rest % factor).trim_end_matches('0').to_owned();
    let point = if fraction.is_empty() || factor == 1 { String::new() } else { format!(".{fraction}") };
    let hours_shown = if hours > 0 { format!("{hours}h") } else { String::new() };
    let minutes_shown = if hours > 0 || minutes > 0 { format!("{minutes}m") } else { String::new() };
    format!("{sign}{hours_shown}{minutes_shown}{}{point}{unit}", rest / factor)
}
