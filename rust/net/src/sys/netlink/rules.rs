//! Rules of this host about packets, which those pass by that are forwarded by ways of our own.

use std::fs;

use super::{DUMP, Netlink, REQUEST, value};

/// `NFT_MSG_GETTABLE` and its answer.
const TABLES_REQUEST: u16 = 10 << 8 | 1;
const TABLES_ANSWER: u16 = 10 << 8;
/// `XFRM_MSG_GETPOLICY` and its answer, and how long the question is.
const POLICIES_REQUEST: u16 = 0x15;
const POLICIES_ANSWER: u16 = 0x13;
const POLICY_BYTES: usize = 64;
/// Where in a policy is what: the protocol that it is for, zero for all, and which way packets go.
const POLICY_PROTOCOL: usize = 44;
const POLICY_DIRECTION: usize = 160;
const OUTWARDS: u8 = 1;
/// `RTM_GETRULE` and its answer, how long the answer's head is, and attributes behind it.
const RULES_REQUEST: u16 = 34;
const RULES_ANSWER: u16 = 32;
const RULE_BYTES: usize = 12;
const RULE_PROTOCOL: u16 = 22;
const RULE_PORTS: [u16; 2] = [23, 24];
const UDP: u8 = 17;

/// Whether packets pass rules in this network namespace: tables of nftables, or of iptables in its old form.
#[must_use]
pub fn packet_filter_in_use() -> bool {
    // Of any family. A kernel that does not know nftables has no tables of them.
    let tables = Netlink::bound(libc::NETLINK_NETFILTER, 0)
        .and_then(|netlink| netlink.ask_with(TABLES_REQUEST, REQUEST | DUMP, &[0; 4]));
    let old = ["/proc/self/net/ip_tables_names", "/proc/self/net/ip6_tables_names"];
    let named = |list| fs::read_to_string(list).is_ok_and(|names| !names.trim().is_empty());
    tables.is_ok_and(|(kind, _)| kind == TABLES_ANSWER) || old.into_iter().any(named)
}

/// Whether there are policies in this network namespace that may have packets encrypted on their way out (RFC 4301).
#[must_use]
pub fn ipsec_in_use() -> bool {
    let policies = Netlink::bound(libc::NETLINK_XFRM, 0)
        .and_then(|netlink| netlink.ask_with(POLICIES_REQUEST, REQUEST | DUMP, &[0; POLICY_BYTES]));
    policies.is_ok_and(|(kind, _)| kind == POLICIES_ANSWER)
}

/// What [`ports_decide_ways`] means, for people.
pub const PORTS_DECIDE_WAYS: &str = "there are rules of routing or policies of IPsec for UDP or its ports, \
     which the kernel does not find for packets with headers of our own";

/// Whether this network namespace has rules of routing, or policies of `IPsec` for what leaves, that are for UDP or for its ports
/// (RFC 4301 §4.4.1.1).
#[must_use]
pub fn ports_decide_ways() -> bool {
    let policy = |kind, policy: &[u8]| {
        let says = |field, what| policy.get(field) == Some(&what);
        kind == POLICIES_ANSWER && says(POLICY_DIRECTION, OUTWARDS) && says(POLICY_PROTOCOL, UDP)
    };
    let rule = |kind, rule: &[u8]| {
        let attributes = rule.get(RULE_BYTES..).unwrap_or_default();
        let ports = || RULE_PORTS.into_iter().any(|field| value(attributes, field).is_some());
        kind == RULES_ANSWER && value(attributes, RULE_PROTOCOL).map_or_else(ports, |protocol| protocol == [UDP])
    };
    let policies = Netlink::bound(libc::NETLINK_XFRM, 0)
        .and_then(|netlink| netlink.any(POLICIES_REQUEST, &[0; POLICY_BYTES], policy));
    let rules = Netlink::new().and_then(|netlink| netlink.any(RULES_REQUEST, &[0; RULE_BYTES], rule));
    // A kernel that does not know of them has none.
    policies.unwrap_or(false) || rules.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_answers_to_a_question_are_looked_at_and_the_next_one_has_its_own() {
        let netlink = Netlink::new().unwrap();
        let rules = |is_it: fn(u16, &[u8]) -> bool| netlink.any(RULES_REQUEST, &[0; RULE_BYTES], is_it).unwrap();
        assert!(rules(|kind, _| kind == RULES_ANSWER), "the kernel has three from the beginning");
        assert!(!rules(|kind, _| kind != RULES_ANSWER));
    }
}
