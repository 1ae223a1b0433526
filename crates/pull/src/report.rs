//! Errors in the form that `login` and `check-health` report them in.

use shorepass_core::Clock;

/// `2024-03-29 07:30:10.014426 An error occurred: <code>`, and the text on the next line (what-the-documents-say.md 1b,
/// 38). The time is the machine's local time.
#[must_use]
pub fn occurred(clock: &dyn Clock, code: &str, text: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(clock.now().millis()).unwrap_or_default();
    let local = time.to_zoned(jiff::tz::TimeZone::system());
    format!("{} An error occurred: {code}\n{text}", local.strftime("%Y-%m-%d %H:%M:%S.%6f"))
}

#[cfg(test)]
mod tests {
    use shorepass_core::Timestamp;
    use shorepass_core::time::TestClock;

    use super::*;

    #[test]
    fn the_text_is_the_documents() {
        let clock = TestClock::at(Timestamp::from_millis(1_711_697_410_014));
        let text = occurred(&clock, "DOCKER_COMMAND_ERROR", "Please verify.");
        let (time, rest) = text.split_at("2024-03-29 07:30:10.014426".len());
        assert_eq!(rest, " An error occurred: DOCKER_COMMAND_ERROR\nPlease verify.");
        // The zone is the machine's; minutes can differ with it, seconds cannot.
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00 00:00:00.000000");
        assert!(time.ends_with(":10.014000"), "{time}");
    }
}
