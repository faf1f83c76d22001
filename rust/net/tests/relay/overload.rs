//! More packets than a worker can take: it says of each stream how many of them it has not forwarded.

use std::thread;

use mediaha_media::{Cause, Side};
use mediaha_net::relay::DatapathChoice;
use mediaha_net::sys::monotonic;

use crate::common::{eventually, ports, rtp};
use crate::world::{Call, LONG_AGO, Relay, V4, V6};

stories! {
    what_a_worker_cannot_take_is_counted_to_the_last_packet,
    of_two_workers_each_counts_what_it_cannot_take,
}

fn what_a_worker_cannot_take_is_counted_to_the_last_packet(choice: DatapathChoice) {
    flood(choice, 1);
}

fn of_two_workers_each_counts_what_it_cannot_take(choice: DatapathChoice) {
    flood(choice, 2);
}

/// Some talk more than others, all of them too much.
fn flood(choice: DatapathChoice, workers: usize) {
    let mut relay = Relay::with(choice, workers, ports(100));
    let calls = [V4, V6, V4, V4].map(|address| relay.call([address; 2], monotonic() - LONG_AGO));
    for call in &calls {
        Relay::talks_both_ways(call, 1);
    }
    let mut sent = calls.each_ref().map(|_| 1);
    // No two are the same: those that come again and again are dropped before they cost anything.
    let mut sequences = calls.each_ref().map(|_| 2_u16);
    eventually("packets are lost", || {
        // Side by side: on a busy machine, one who sends may have to wait for the worker's core, and is never too fast for it.
        thread::scope(|scope| {
            for (number, (call, sequence)) in calls.iter().zip(&mut sequences).enumerate() {
                let burst = 4_000 * (1 + number as u64);
                sent[number] += burst;
                scope.spawn(move || {
                    for _ in 0..burst {
                        *sequence = sequence.wrapping_add(1);
                        call.parties[0].send(&rtp(*sequence), call.ports[0].rtp);
                    }
                });
            }
        });
        // The kernel forwards in the time of whoever sends, and is never behind.
        choice == DatapathChoice::Kernel || calls.iter().any(|call| overflowed(&relay, call) > 0)
    });
    eventually("each packet is counted, and for its stream", || {
        let counted = calls.each_ref().map(|call| accounted(&relay, call));
        if choice == DatapathChoice::Sockets && counted != sent {
            // Sockets are looked at when they hear something.
            for (call, sent) in calls.iter().zip(&mut sent) {
                call.parties[0].send(&rtp(2), call.ports[0].rtp);
                *sent += 1;
            }
            return false;
        }
        counted == sent
    });
}

fn accounted(relay: &Relay, call: &Call) -> u64 {
    relay.counters(call, Side::A).accounted()
}

fn overflowed(relay: &Relay, call: &Call) -> u64 {
    relay.counters(call, Side::A).dropped(Cause::Overflow)
}
