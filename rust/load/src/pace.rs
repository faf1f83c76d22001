//! When which endpoint sends: a wheel with one turn a packet time, over which the endpoints are spread.
use mediaha_time::{Duration, Time};

/// Slots of the wheel. With 20 ms packets a slot is due each half millisecond.
pub const SLOTS: usize = 40;

/// The wheel. Slot after slot falls due; a slot that is late by more than a turn is left out, not caught up, for
/// a burst of old packets would say nothing about the network.
#[derive(Clone, Debug)]
pub struct Wheel {
    slots: Vec<Vec<usize>>,
    slot_time: Duration,
    next_slot: usize,
    due: Time,
    latest: Duration,
}

impl Wheel {
    /// A wheel that turns once in `packet_time`, beginning at `now`.
    #[must_use]
    pub fn new(packet_time: Duration, now: Time) -> Self {
        let slot_time = packet_time / u32::try_from(SLOTS).unwrap_or(1);
        Self { slots: vec![Vec::new(); SLOTS], slot_time, next_slot: 0, due: now, latest: Duration::ZERO }
    }

    /// Lets an endpoint send from `now` on, in the slot that has fewest.
    pub fn add(&mut self, endpoint: usize, now: Time) {
        if self.slots.iter().all(Vec::is_empty) {
            // Nobody has turned the idle wheel, and that is no lateness.
            self.due = self.due.max(now);
        }
        if self.slots.iter().any(|slot| slot.contains(&endpoint)) {
            return;
        }
        if let Some(slot) = self.slots.iter_mut().min_by_key(|slot| slot.len()) {
            slot.push(endpoint);
        }
    }

    /// Lets an endpoint send no more.
    pub fn remove(&mut self, endpoint: usize) {
        for slot in &mut self.slots {
            slot.retain(|there| *there != endpoint);
        }
    }

    /// The endpoints of the next slot that has any, or `None` when it is not due at `now`.
    pub fn turn(&mut self, now: Time) -> Option<&[usize]> {
        if self.wake_at().is_none_or(|due| now < due) {
            return None;
        }
        while self.slots[self.next_slot].is_empty() {
            self.advance(self.due + self.slot_time);
        }
        let late = now.since(self.due);
        let turn = self.slot_time * u32::try_from(SLOTS).unwrap_or(1);
        let slot = self.next_slot;
        self.latest = self.latest.max(late);
        self.advance(if late > turn { now + self.slot_time } else { self.due + self.slot_time });
        Some(&self.slots[slot])
    }

    /// When the next slot that has an endpoint falls due; `None` when nobody sends.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        let ahead = (0..SLOTS).find(|ahead| !self.slots[(self.next_slot + ahead) % SLOTS].is_empty())?;
        Some(self.due + self.slot_time * u32::try_from(ahead).unwrap_or(0))
    }

    /// How late a slot was taken at worst: the generator's own share in any gap.
    #[must_use]
    pub fn latest(&self) -> Duration {
        self.latest
    }

    fn advance(&mut self, due: Time) {
        self.next_slot = (self.next_slot + 1) % SLOTS;
        self.due = due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET_TIME: Duration = Duration::from_millis(20);

    fn sent_between(wheel: &mut Wheel, from: u64, to: u64) -> Vec<(u64, usize)> {
        let mut sent = Vec::new();
        for half in from * 2..to * 2 {
            let now = Time::from_nanos(half * 500_000);
            while let Some(endpoints) = wheel.turn(now) {
                sent.extend(endpoints.iter().map(|endpoint| (half, *endpoint)));
            }
        }
        sent
    }

    #[test]
    fn each_endpoint_sends_once_a_packet_time_at_a_phase_of_its_own() {
        let mut wheel = Wheel::new(PACKET_TIME, Time::ZERO);
        for endpoint in 0..40 {
            wheel.add(endpoint, Time::ZERO);
        }
        let sent = sent_between(&mut wheel, 0, 60);
        assert_eq!(sent.len(), 120);
        for endpoint in 0..40 {
            let times: Vec<u64> = sent.iter().filter(|(_, who)| *who == endpoint).map(|(when, _)| *when).collect();
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 40), "{times:?}");
        }
        assert!(sent.windows(2).all(|pair| pair[0].0 != pair[1].0), "no two at once");
    }

    #[test]
    fn who_is_removed_sends_no_more_and_nobody_wakes_for_nothing() {
        let mut wheel = Wheel::new(PACKET_TIME, Time::ZERO);
        wheel.add(1, Time::ZERO);
        wheel.add(1, Time::ZERO);
        assert_eq!(wheel.wake_at(), Some(Time::ZERO));
        assert_eq!(sent_between(&mut wheel, 0, 20).len(), 1);
        wheel.remove(1);
        assert_eq!(wheel.wake_at(), None);
        assert_eq!(sent_between(&mut wheel, 20, 40), []);
    }

    #[test]
    fn a_wheel_that_was_idle_is_not_late() {
        let mut wheel = Wheel::new(PACKET_TIME, Time::ZERO);
        wheel.add(1, Time::from_millis(60_000));
        assert_eq!(sent_between(&mut wheel, 60_000, 60_040).len(), 2);
        assert_eq!(wheel.latest(), Duration::ZERO);
    }

    #[test]
    fn a_short_stall_is_caught_up_and_a_long_one_is_not() {
        let mut wheel = Wheel::new(PACKET_TIME, Time::ZERO);
        for endpoint in 0..40 {
            wheel.add(endpoint, Time::ZERO);
        }
        let mut taken = 0;
        while let Some(endpoints) = wheel.turn(Time::from_millis(10)) {
            taken += endpoints.len();
        }
        assert_eq!(taken, 21);
        assert_eq!(wheel.latest(), Duration::from_millis(10));
        let mut after_stall = 0;
        while let Some(endpoints) = wheel.turn(Time::from_millis(1_000)) {
            after_stall += endpoints.len();
        }
        assert_eq!(after_stall, 1);
    }
}
