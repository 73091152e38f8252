//! Dates in UTC from Unix seconds: days and civil dates after Howard Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms" (2013).

const DAY: i64 = 86_400;

/// Years outside of this are not dates that a metric means; it also keeps the arithmetic within bounds.
const MAX_SECONDS: i64 = 1 << 47;

/// A date and time of day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// From 1 to 12.
    pub(crate) month: i64,
    /// From 1 to 31.
    pub(crate) day: i64,
    /// Days since 1970.
    days: i64,
    /// Second of the day.
    second: i64,
}

impl Date {
    /// The date of some seconds since 1970, clamped to some four million years.
    pub(crate) fn from_unix(seconds: i64) -> Self {
        let seconds = seconds.clamp(-MAX_SECONDS, MAX_SECONDS);
        let days = seconds.div_euclid(DAY);
        // Years begin in March here, so that a leap day is the last of its year; eras have 400 years.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            days,
            second: seconds.rem_euclid(DAY),
        }
    }

    pub(crate) fn hour(self) -> i64 {
        self.second / 3_600
    }

    pub(crate) fn minute(self) -> i64 {
        self.second / 60 % 60
    }

    /// From 0 for Sunday to 6.
    pub(crate) fn weekday(self) -> i64 {
        (self.days + 4).rem_euclid(7)
    }

    /// From 1 to 366.
    pub(crate) fn day_of_year(self) -> i64 {
        (1..self.month).map(|month| month_len(self.year, month)).sum::<i64>() + self.day
    }

    pub(crate) fn days_in_month(self) -> i64 {
        month_len(self.year, self.month)
    }
}

fn month_len(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// As in RFC 3339, to the second.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    let date = Date::from_unix(time_ms.div_euclid(1_000));
    let (hour, minute, second) = (date.hour(), date.minute(), date.second % 60);
    format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year, date.month, date.day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(-1_000), "1969-12-31T23:59:59Z");
        let date = Date::from_unix(1_709_209_800);
        assert_eq!((date.year, date.month, date.day), (2024, 2, 29));
        assert_eq!((date.weekday(), date.day_of_year(), date.days_in_month()), (4, 60, 29));
        assert_eq!((date.hour(), date.minute()), (12, 30));
    }

    #[test]
    fn no_second_is_out_of_range() {
        assert!(Date::from_unix(i64::MAX).year > 4_000_000);
        assert!(Date::from_unix(i64::MIN).year < -4_000_000);
    }
}
