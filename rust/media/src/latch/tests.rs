use super::*;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn phone() -> SocketAddr {
    at("198.51.100.1:4000")
}

fn stranger() -> SocketAddr {
    at("203.0.113.66:666")
}

#[test]
fn a_phone_behind_a_nat_is_learnt_and_a_later_stranger_is_not() {
    let mut latch = Latch::new(Some(at("192.168.0.5:4000")), false, Time::ZERO);
    assert_eq!(latch.target(), Some(at("192.168.0.5:4000")));
    assert!(latch.hears(phone(), ms(100)));
    assert!(!latch.hears(stranger(), ms(101)));
    assert!(!latch.hears(stranger(), ms(10_000)));
    assert_eq!(latch.target(), Some(phone()));
    assert_eq!(latch.believed(ms(2_999)), Believed::Anybody);
    assert_eq!(latch.believed(ms(3_000)), Believed::Only(phone()));
}

#[test]
fn a_wary_latch_hears_the_signalled_address_only_and_after_a_moment_anybody() {
    let mut latch = Latch::new(Some(phone()), false, Time::ZERO).wary(Time::ZERO);
    assert!(!latch.hears(stranger(), ms(10)));
    assert!(!latch.hears(at("198.51.100.1:61000"), ms(20)), "another call's phone at the same host");
    assert_eq!(latch.target(), Some(phone()));
    assert!(latch.hears(phone(), ms(30)));
    assert!(!latch.hears(stranger(), ms(600)), "the place is taken");
    let mut silent = Latch::new(None, false, Time::ZERO).wary(Time::ZERO);
    assert!(!silent.hears(stranger(), ms(499)));
    silent.replan(Some(at("192.168.0.5:4000")), false, true, ms(499));
    assert!(silent.hears(phone(), ms(500)), "a phone behind a NAT, in the end");
}

#[test]
fn the_signalled_address_takes_its_place_back_from_a_stranger_who_was_first() {
    let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
    assert!(latch.hears(stranger(), ms(10)));
    assert!(latch.hears(phone(), ms(20)));
    assert!(!latch.hears(stranger(), ms(30)));
    assert_eq!(latch.target(), Some(phone()));
}

#[test]
fn after_the_window_only_the_signalled_host_is_learnt_whatever_its_port() {
    let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
    assert!(!latch.hears(stranger(), ms(3_000)));
    assert!(latch.hears(at("198.51.100.1:61000"), ms(4_000)));
    assert!(!latch.hears(phone(), ms(4_001)), "the place is taken, and the window is closed");
}

/// A phone behind a NAT that has spoken for a while, at `ms(20)` first and at `ms(9_980)` last.
fn talked() -> Latch {
    let mut latch = Latch::new(Some(at("192.168.0.5:4000")), false, Time::ZERO);
    assert!(latch.hears(phone(), ms(20)) && latch.hears(phone(), ms(9_980)));
    latch
}

/// The same address is signalled again.
fn refreshed(latch: &mut Latch, now: Time) {
    latch.replan(Some(at("192.168.0.5:4000")), false, true, now);
}

const CONTINUES: Evidence = Evidence { continues: true, suspect: false };

#[test]
fn a_new_window_leaves_a_living_source_its_place() {
    let mut latch = talked();
    refreshed(&mut latch, ms(10_000));
    assert!(!latch.hears(stranger(), ms(10_100)));
    assert!(latch.hears(phone(), ms(10_101)));
    assert_eq!(latch.target(), Some(phone()));
}

#[test]
fn a_flood_in_a_new_window_does_not_get_the_place_of_a_silent_phone() {
    let mut latch = talked();
    for begun in [60_000, 60_150, 61_000] {
        refreshed(&mut latch, ms(begun));
        for millis in 0..150 {
            assert!(!latch.hears(stranger(), ms(begun + millis)));
        }
    }
    assert_eq!(latch.target(), Some(phone()));
    assert!(latch.hears(phone(), ms(61_200)), "it unmutes");
}

#[test]
fn a_silent_phone_that_its_nat_has_given_another_port_is_learnt_in_a_new_window() {
    let mut latch = talked();
    refreshed(&mut latch, ms(60_000));
    let moved = at("198.51.100.1:4002");
    assert!(latch.hears(moved, ms(60_010)));
    assert!(!latch.hears(phone(), ms(60_020)), "learnt in this window, the new source is not given up");
}

#[test]
fn a_phone_that_goes_on_in_another_network_is_learnt_from_its_first_packet() {
    let mut latch = talked();
    let elsewhere = at("192.0.2.200:9000");
    assert_eq!(latch.judges(elsewhere, ms(9_990), |_| CONTINUES), Heard::Stranger, "without a word of it");
    refreshed(&mut latch, ms(10_000));
    assert!(!latch.hears(stranger(), ms(10_001)));
    assert_eq!(latch.judges(elsewhere, ms(10_002), |_| CONTINUES), Heard::Learnt);
    assert!(!latch.hears(stranger(), ms(10_900)));
    assert_eq!(latch.target(), Some(elsewhere));
}

#[test]
fn a_phone_that_says_it_has_moved_gets_its_place_from_a_stranger_who_was_first() {
    let mut latch = talked();
    latch.replan(Some(at("10.9.8.7:4000")), false, true, ms(10_000));
    assert!(latch.hears(stranger(), ms(10_001)));
    let elsewhere = at("192.0.2.200:9000");
    assert_eq!(latch.judges(elsewhere, ms(10_002), |_| CONTINUES), Heard::Learnt);
    assert!(!latch.hears(stranger(), ms(10_003)));
    assert!(!latch.hears(phone(), ms(10_600)), "where it says itself that it is no longer");
}

#[test]
fn a_single_packet_keeps_nobody_from_speaking() {
    let mut latch = Latch::new(Some(at("192.168.0.5:4000")), false, Time::ZERO);
    assert!(latch.hears(stranger(), ms(10)));
    assert!(!latch.hears(phone(), ms(20)));
    assert!(latch.hears(phone(), ms(520)));
    assert!(!latch.hears(stranger(), ms(530)));
    let mut proven = Latch::new(Some(at("192.168.0.5:4000")), false, Time::ZERO);
    assert!(proven.hears(phone(), ms(10)) && proven.hears(phone(), ms(210)));
    assert!(!proven.hears(stranger(), ms(2_000)));
}

#[test]
fn another_port_of_the_signalled_host_takes_the_place_from_whoever_was_only_first() {
    let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
    assert!(latch.hears(stranger(), ms(10)));
    assert!(latch.hears(at("198.51.100.1:61000"), ms(20)));
    assert!(!latch.hears(stranger(), ms(30)));
}

#[test]
fn whoever_came_between_offer_and_answer_is_not_proven_by_the_answer() {
    let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
    assert!(latch.hears(stranger(), ms(10)) && latch.hears(stranger(), ms(900)));
    latch.replan(Some(phone()), false, true, ms(1_000));
    assert!(latch.hears(at("198.51.100.1:61000"), ms(1_010)));
}

#[test]
fn reports_are_believed_from_where_the_media_comes_from() {
    let mut latch = Latch::new(Some(at("192.168.0.5:4001")), false, Time::ZERO).of_reports();
    assert!(!latch.hears(stranger(), ms(10)), "nobody is believed for being first");
    assert!(!latch.follow(phone().ip()));
    assert!(!latch.hears(stranger(), ms(20)));
    assert_eq!(latch.believed(ms(5_000)), Believed::Host(phone().ip()));
    assert!(latch.hears(at("198.51.100.1:4001"), ms(5_000)), "the first report comes late");
    assert_eq!(latch.target(), Some(at("198.51.100.1:4001")));
    assert_eq!(latch.believed(ms(5_000)), Believed::Only(at("198.51.100.1:4001")));
    latch.replan(Some(at("192.168.0.5:4001")), false, true, ms(20_000));
    assert!(!latch.hears(stranger(), ms(20_100)), "reports are rare: it was silent for long");
    assert!(latch.follow("192.0.2.200".parse().unwrap()), "the media comes from elsewhere");
    assert_eq!(latch.target(), Some(at("192.168.0.5:4001")));
    assert!(latch.hears(at("192.0.2.200:9001"), ms(21_000)));
}

#[test]
fn another_signalled_address_is_sent_to_at_once() {
    let mut latch = Latch::new(Some(phone()), false, Time::ZERO);
    assert!(latch.hears(phone(), ms(20)));
    let music = at("198.51.100.99:7000");
    latch.replan(Some(music), false, true, ms(10_000));
    assert_eq!(latch.target(), Some(music));
    assert!(latch.hears(phone(), ms(10_005)), "packets on the way are still the party's");
    assert_eq!(latch.target(), Some(music), "but nothing is sent back there");
}

#[test]
fn a_phone_that_only_changed_its_private_address_is_learnt_again() {
    let mut latch = Latch::new(Some(at("192.168.0.5:4000")), false, Time::ZERO);
    assert!(latch.hears(phone(), ms(20)));
    latch.replan(Some(at("192.168.0.5:4002")), false, true, ms(10_000));
    assert!(latch.hears(phone(), ms(10_020)));
    assert!(latch.hears(phone(), ms(10_520)));
    assert_eq!(latch.target(), Some(phone()));
}

#[test]
fn strict_source_believes_the_signalled_address_only() {
    let mut latch = Latch::new(Some(phone()), true, Time::ZERO);
    assert!(!latch.hears(at("198.51.100.1:4001"), ms(1)));
    assert!(latch.hears(phone(), ms(2)));
    assert_eq!(latch.believed(ms(2)), Believed::Only(phone()));
}

#[test]
fn a_party_heard_before_it_was_signalled_keeps_its_place_while_it_speaks() {
    let mut latch = Latch::new(None, false, Time::ZERO);
    assert_eq!(latch.target(), None);
    assert!(latch.hears(phone(), ms(100)));
    latch.replan(Some(at("192.168.0.5:4000")), false, true, ms(200));
    assert_eq!(latch.target(), Some(phone()));
}

mod always {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Packet(u8),
        Offer { signalled: Option<u8>, strict: bool },
    }

    fn host(number: u8) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, number % 4], 4000 + u16::from(number / 4)))
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0_u8..12).prop_map(Step::Packet),
            1 => (proptest::option::of(0_u8..12), proptest::bool::weighted(0.1))
                .prop_map(|(signalled, strict)| Step::Offer { signalled, strict }),
        ]
    }

    proptest! {
        /// Outside of every window, a source that is neither held nor on the signalled host never gets in, and
        /// nobody is heard whom `believed` has excluded before, until the next offer or answer.
        #[test]
        fn strangers_stay_out(steps in proptest::collection::vec((step(), 0_u64..1_500), 1..200)) {
            let mut now = Time::ZERO;
            let mut opened = Time::ZERO;
            let mut signalled = Some(host(0));
            let mut latch = Latch::new(signalled, false, now);
            let mut said = Believed::Anybody;
            for (step, millis) in steps {
                now = now + Duration::from_millis(millis);
                match step {
                    Step::Offer { signalled: to, strict } => {
                        signalled = to.map(host).or(signalled);
                        latch.replan(to.map(host), strict, true, now);
                        (opened, said) = (now, Believed::Anybody);
                    }
                    Step::Packet(number) => {
                        let (source, before) = (host(number), latch.target());
                        let believed = latch.hears(source, now);
                        if now.since(opened) >= WINDOW && believed {
                            let known = before == Some(source);
                            prop_assert!(known || signalled.is_some_and(|it| it.ip() == source.ip()));
                        }
                        match said {
                            Believed::Only(only) => prop_assert_eq!(believed, source == only),
                            Believed::Host(host) => prop_assert!(!believed || source.ip() == host),
                            Believed::Anybody => {}
                        }
                        said = latch.believed(now);
                        prop_assert!(!believed || now.since(opened) < WINDOW || said == Believed::Only(source));
                    }
                }
            }
        }
    }
}
