//! How long a server usually takes to answer, and what follows from it: when to send again, when to ask another.

use std::time::Duration;

use crate::config::Config;

/// Bounds of the time after which an unanswered request is sent again.
const RESEND_MIN: Duration = Duration::from_millis(10);
const RESEND_MAX: Duration = Duration::from_millis(200);
/// Used while nothing has been measured.
const RESEND_UNMEASURED: Duration = Duration::from_millis(50);

/// A smoothed round-trip time and its variation, as in RFC 6298 section 2.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtt {
    measured: Option<Measured>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    smoothed: Duration,
    variation: Duration,
}

impl Rtt {
    /// A request that was sent once was answered after `sample`. Requests that were sent twice do not count: nobody
    /// knows which of the two was answered (Karn's algorithm, RFC 6298 section 3).
    pub(crate) fn sample(&mut self, sample: Duration) {
        self.measured = Some(match self.measured {
            None => Measured { smoothed: sample, variation: sample / 2 },
            Some(Measured { smoothed, variation }) => Measured {
                smoothed: (smoothed * 7 + sample) / 8,
                variation: (variation * 3 + smoothed.abs_diff(sample)) / 4,
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

    /// When to ask the second server, while the first may still answer.
    pub(crate) fn hedge_after(&self, config: &Config) -> Duration {
        let (min, max) = (Duration::from_millis(config.hedge_ms_min), Duration::from_millis(config.hedge_ms_max));
        self.nearly_all().unwrap_or(max).clamp(min, max)
    }

    /// When to ask the server after that: there was time to send once more and hear the answer.
    pub(crate) fn try_after(&self, config: &Config) -> Duration {
        let (min, max) = (Duration::from_millis(config.try_ms_min), Duration::from_millis(config.try_ms_max));
        self.nearly_all().map_or(max, |nearly_all| nearly_all * 3).clamp(min, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_server_is_not_waited_for_longer_than_the_least_time() {
        let mut rtt = Rtt::default();
        for _ in 0..50 {
            rtt.sample(Duration::from_micros(300));
        }
        let config = Config::default();
        assert_eq!(rtt.hedge_after(&config), Duration::from_millis(config.hedge_ms_min));
        assert_eq!(rtt.try_after(&config), Duration::from_millis(config.try_ms_min));
    }

    #[test]
    fn an_unknown_server_is_hedged_soon_and_given_up_late() {
        let config = Config::default();
        assert_eq!(Rtt::default().hedge_after(&config), Duration::from_millis(config.hedge_ms_max));
        assert_eq!(Rtt::default().try_after(&config), Duration::from_millis(config.try_ms_max));
    }

    #[test]
    fn a_slow_server_is_given_the_time_it_needs() {
        let mut rtt = Rtt::default();
        for _ in 0..50 {
            rtt.sample(Duration::from_millis(80));
        }
        let try_after = rtt.try_after(&Config::default());
        assert!(try_after >= Duration::from_millis(240), "{try_after:?}");
    }
}
