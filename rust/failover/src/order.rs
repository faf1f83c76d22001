//! Choose an order, not a winner: who is asked first, who next, when that one fails.

use crate::exchange::ServerId;

/// How far a server can be trusted at the moment; the better ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// It answers, and has for a while.
    Usable,
    /// It answers, and has only just come back.
    Recovering,
    /// It takes no new calls; better than losing one that was alive.
    Draining,
    /// It has been silent lately. Last, not out: when all are suspect, the fault is more likely ours.
    Suspect,
}

/// What the order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Somebody wants to make a call.
    NewCall,
    /// A call has lost its server.
    MovedCall,
}

/// The servers to ask, best first. Among equals the listed order holds; `listed` has a server's trust, `None` when
/// it is dead or no longer configured, and whether it drains.
pub(crate) fn order(
    purpose: Purpose,
    listed: impl Iterator<Item = (ServerId, Option<Trust>, bool)>,
) -> Vec<ServerId> {
    let mut ranked: Vec<(Trust, ServerId)> = listed
        .filter_map(|(server, trust, draining)| match (trust?, draining, purpose) {
            (_, true, Purpose::NewCall) => None,
            (trust, true, Purpose::MovedCall) => Some((trust.max(Trust::Draining), server)),
            (trust, false, _) => Some((trust, server)),
        })
        .collect();
    ranked.sort_by_key(|&(trust, _)| trust);
    ranked.into_iter().map(|(_, server)| server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(0);
    const B: ServerId = ServerId(1);
    const C: ServerId = ServerId(2);

    #[test]
    fn the_listed_order_holds_among_equals() {
        let all = [C, A, B].map(|server| (server, Some(Trust::Usable), false));
        assert_eq!(order(Purpose::NewCall, all.into_iter()), [C, A, B]);
    }

    #[test]
    fn a_suspect_goes_last_and_a_dead_one_out() {
        let listed = [(A, Some(Trust::Suspect), false), (B, None, false), (C, Some(Trust::Usable), false)];
        assert_eq!(order(Purpose::NewCall, listed.into_iter()), [C, A]);
    }

    #[test]
    fn when_all_are_suspect_all_are_asked() {
        let listed = [A, B].map(|server| (server, Some(Trust::Suspect), false));
        assert_eq!(order(Purpose::NewCall, listed.into_iter()), [A, B]);
    }

    #[test]
    fn a_draining_server_takes_no_new_call_but_saves_an_old_one() {
        let listed = [(A, Some(Trust::Usable), true), (B, Some(Trust::Suspect), false)];
        assert_eq!(order(Purpose::NewCall, listed.into_iter()), [B]);
        assert_eq!(order(Purpose::MovedCall, listed.into_iter()), [A, B]);
    }
}
