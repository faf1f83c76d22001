//! How long a server usually takes to answer, and what follows from it: when to send again, when to ask another, how long it may
//! be silent.

use std::time::Duration;

use mediaha_time::Time;

use crate::config::Config;

/// Bounds of the time after which an unanswered request is sent again.
const RESEND_MIN: Duration = Duration::from_millis(10);
const RESEND_MAX: Duration = Duration::from_millis(200);
/// Used while nothing has been measured.
const RESEND_UNMEASURED: Duration = Duration::from_millis(50);
/// A second server is asked after this long while nothing has been measured.
const HEDGE_UNMEASURED: Duration = Duration::from_millis(50);
/// The longest round trip is forgotten by and by: after this long a third of it is left.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);
/// An answer may be late by so many times the longest round trip of late: what makes it late is chance, and the longest was not yet seen.
const LATE_BY: u32 = 2;

/// A smoothed round-trip time and its variation, as in RFC 6298 section 2, and the longest one of the last seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtt {
    measured: Option<Measured>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    smoothed: Duration,
    variation: Duration,
    longest: Duration,
    at: Time,
}

impl Rtt {
    /// A request that was sent once was answered after `sample`. Requests that were sent twice do not count: nobody
    /// knows which of the two was answered (Karn's algorithm, RFC 6298 section 3).
    pub(crate) fn sample(&mut self, sample: Duration, now: Time) {
        self.measured = Some(match self.measured {
            None => Measured { smoothed: sample, variation: sample / 2, longest: sample, at: now },
            Some(Measured { smoothed, variation, longest, at }) => Measured {
                smoothed: (smoothed * 7 + sample) / 8,
                variation: (variation * 3 + smoothed.abs_diff(sample)) / 4,
                longest: sample.max(forgotten(longest, now.since(at))),
                at: now,
            },
        });
    }

    /// The smoothed round-trip time.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.smoothed)
    }

    /// After this long nearly every answer has come.
    fn nearly_all(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.smoothed + 4 * measured.variation)
    }

    /// When to send a request again.
    pub(crate) fn resend_after(&self) -> Duration {
        self.nearly_all().unwrap_or(RESEND_UNMEASURED).clamp(RESEND_MIN, RESEND_MAX)
    }

    /// When to ask the second server, while the first may still answer. Few answers are later than the longest of the last seconds.
    pub(crate) fn hedge_after(&self, config: &Config) -> Duration {
        let (min, max) = (Duration::from_millis(config.hedge_ms_min), Duration::from_millis(config.hedge_ms_max));
        let usual = self.nearly_all().map(|nearly_all| nearly_all.max(self.longest()));
        usual.unwrap_or(HEDGE_UNMEASURED).clamp(min, max.max(min))
    }

    /// The silence after which a server is suspect: the configured one and its own round trip on top, or what its answers have been
    /// late by lately.
    pub(crate) fn suspect_after(&self, config: &Config) -> Duration {
        let least = Duration::from_millis(config.suspect_ms) + self.smoothed().unwrap_or_default();
        let late = Duration::from_millis(config.heartbeat_ms) + self.longest() * (LATE_BY - 1);
        let most =
            self.late_silence(config).saturating_sub(2 * Duration::from_millis(config.heartbeat_suspect_ms));
        late.min(most).max(least)
    }

    /// The silence after which a suspect is dead: the configured one, or longer by what its answers have been late by lately. It is
    /// asked once more while it is suspect.
    pub(crate) fn silence_max(&self, config: &Config) -> Duration {
        let asked_again = self.suspect_after(config) + Duration::from_millis(config.heartbeat_suspect_ms);
        self.late_silence(config).max(asked_again)
    }

    fn late_silence(&self, config: &Config) -> Duration {
        let [least, most] = [config.silence_ms_max, config.silence_late_ms_max].map(Duration::from_millis);
        let late = Duration::from_millis(config.heartbeat_ms) + self.longest() * LATE_BY;
        late.clamp(least, most.max(least))
    }

    fn longest(&self) -> Duration {
        self.measured.map(|measured| measured.longest).unwrap_or_default()
    }

    /// When to ask the server after that: there was time to send once more and hear the answer.
    pub(crate) fn try_after(&self, config: &Config) -> Duration {
        let (min, max) = (Duration::from_millis(config.try_ms_min), Duration::from_millis(config.try_ms_max));
        self.nearly_all().map_or(max, |nearly_all| nearly_all * 3).clamp(min, max)
    }
}

/// What is left of the longest round trip after so long. Asked often enough, it is halved in two thirds of `FORGOTTEN_AFTER`.
fn forgotten(longest: Duration, after: Duration) -> Duration {
    let left = FORGOTTEN_AFTER.saturating_sub(after);
    longest * u32::try_from(left.as_millis()).unwrap_or(0)
        / u32::try_from(FORGOTTEN_AFTER.as_millis()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_server_is_not_waited_for_longer_than_the_least_time() {
        let mut rtt = Rtt::default();
        for _ in 0..50 {
            rtt.sample(Duration::from_micros(300), Time::ZERO);
        }
        let config = Config::default();
        assert_eq!(rtt.hedge_after(&config), Duration::from_millis(config.hedge_ms_min));
        assert_eq!(rtt.try_after(&config), Duration::from_millis(config.try_ms_min));
    }

    #[test]
    fn an_unknown_server_is_hedged_soon_and_given_up_late() {
        let config = Config::default();
        assert_eq!(Rtt::default().hedge_after(&config), HEDGE_UNMEASURED);
        assert_eq!(Rtt::default().try_after(&config), Duration::from_millis(config.try_ms_max));
    }

    #[test]
    fn a_slow_server_is_given_the_time_it_needs() {
        let mut rtt = Rtt::default();
        for _ in 0..50 {
            rtt.sample(Duration::from_millis(80), Time::ZERO);
        }
        let try_after = rtt.try_after(&Config::default());
        assert!(try_after >= Duration::from_millis(240), "{try_after:?}");
    }

    #[test]
    fn a_server_that_answers_late_may_be_silent_for_longer_and_not_for_ever() {
        let (config, now) = (Config::default(), Time::from_millis(1_000));
        let mut rtt = Rtt::default();
        assert_eq!(rtt.silence_max(&config), Duration::from_millis(config.silence_ms_max));
        rtt.sample(Duration::from_millis(70), now);
        assert_eq!(rtt.silence_max(&config), Duration::from_millis(config.silence_ms_max), "as usual");
        rtt.sample(Duration::from_millis(100), now);
        assert_eq!(rtt.silence_max(&config), Duration::from_millis(config.heartbeat_ms + 200));
        rtt.sample(Duration::from_millis(900), now);
        assert_eq!(rtt.silence_max(&config), Duration::from_millis(config.silence_late_ms_max));
        for tenth in 1..300 {
            rtt.sample(Duration::from_millis(1), now + Duration::from_millis(tenth * 100));
        }
        assert_eq!(rtt.silence_max(&config), Duration::from_millis(config.silence_ms_max), "forgotten");
    }
}
