//! A party that a client has silenced.

use mediaha_media::{Cause, Side};
use mediaha_net::relay::DatapathChoice;
use mediaha_net::sys::monotonic;

use crate::common::{eventually, rtp};
use crate::world::{Call, LONG_AGO, Relay, V4, V6};

stories! {
    what_a_blocked_party_sends_is_dropped_and_counted_until_it_is_unblocked,
}

fn what_a_blocked_party_sends_is_dropped_and_counted_until_it_is_unblocked(choice: DatapathChoice) {
    for address in [V4, V6] {
        let mut relay = Relay::new(choice);
        let mut call = relay.call([address; 2], monotonic() - LONG_AGO);
        call.plan.events.note(101, true);
        call.plan.sides.iter_mut().for_each(|side| side.reopen = false);
        let mut next = 1;
        eventually("the fast way, where there is one, is taken", || {
            Relay::talks_both_ways(&call, next);
            next += 1;
            relay.datapath.flows() != Some(0) && next > 3
        });
        block(&mut relay, &mut call, true);
        eventually("it is blocked", || {
            call.parties[0].send(&rtp(next), call.ports[0].rtp);
            next += 1;
            blocked(&relay, &call) > 0
        });
        while !call.parties[1].hears_nothing() {
            call.parties[1].hear();
        }
        let before = blocked(&relay, &call);
        for _ in 0..10 {
            call.parties[0].send(&rtp(next), call.ports[0].rtp);
            let mut key = rtp(next + 1);
            key[1] = 101;
            call.parties[0].send(&key, call.ports[0].rtp);
            assert_eq!(call.parties[1].hear(), (key, call.ports[1].rtp), "telephone events are all that is heard");
            call.parties[1].send(&rtp(next), call.ports[1].rtp);
            assert_eq!(call.parties[0].hear(), (rtp(next), call.ports[0].rtp), "the other party is not blocked");
            next += 2;
        }
        assert!(blocked(&relay, &call) >= before + 10);
        block(&mut relay, &mut call, false);
        eventually("it is heard again", || {
            call.parties[0].send(&rtp(next), call.ports[0].rtp);
            !call.parties[1].hears_nothing()
        });
        assert_eq!(call.parties[1].hear(), (rtp(next), call.ports[1].rtp));
        assert_eq!(relay.counters(&call, Side::A).dropped(Cause::Stranger), 0);
    }
}

fn block(relay: &mut Relay, call: &mut Call, media: bool) {
    call.plan.sides[0].blocks.media = media;
    relay.datapath.install(call.stream, call.plan, monotonic());
}

fn blocked(relay: &Relay, call: &Call) -> u64 {
    relay.counters(call, Side::A).dropped(Cause::Blocked)
}
