//! RTP profiles: what the `m=` line of an RTP stream calls its transport protocol.

/// How RTP is carried, and whether reports may come at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    keys: Keys,
    /// Reports come when they are needed (RFC 4585), not only now and then.
    feedback: bool,
}

/// Where the keys come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// There are none: the packets are in the clear.
    None,
    /// From the SDP (RFC 4568).
    Sdes,
    /// From a handshake beside the packets (RFC 5764).
    Dtls,
}

const ALL: [(&str, Profile); 6] = [
    ("RTP/AVP", Profile { keys: Keys::None, feedback: false }),
    ("RTP/AVPF", Profile { keys: Keys::None, feedback: true }),
    ("RTP/SAVP", Profile { keys: Keys::Sdes, feedback: false }),
    ("RTP/SAVPF", Profile { keys: Keys::Sdes, feedback: true }),
    ("UDP/TLS/RTP/SAVP", Profile { keys: Keys::Dtls, feedback: false }),
    ("UDP/TLS/RTP/SAVPF", Profile { keys: Keys::Dtls, feedback: true }),
];

impl Profile {
    /// The profile of this name, if it is one.
    #[must_use]
    pub fn of_untrusted(protocol: &[u8]) -> Option<Self> {
        ALL.into_iter().find(|(name, _)| name.as_bytes() == protocol).map(|(_, profile)| profile)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL.into_iter().find(|(_, profile)| *profile == self).map_or("", |(name, _)| name)
    }

    /// Whether a party may be shown it where the other party has said `other`: the packets are the same then. A relay neither
    /// encrypts nor decrypts.
    #[must_use]
    pub fn stands_for(self, other: Self) -> bool {
        self.keys == other.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_encrypted_alike_can_stand_for_each_other() {
        let profile = |name: &str| Profile::of_untrusted(name.as_bytes()).unwrap();
        for (one, other, alike) in [
            ("RTP/AVP", "RTP/AVPF", true),
            ("RTP/SAVPF", "RTP/SAVP", true),
            ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", true),
            ("RTP/AVP", "RTP/SAVP", false),
            ("RTP/SAVPF", "UDP/TLS/RTP/SAVPF", false),
        ] {
            assert_eq!(profile(one).stands_for(profile(other)), alike, "{one} {other}");
            assert_eq!(profile(one).name(), one);
        }
        assert_eq!(Profile::of_untrusted(b"udptl"), None);
    }
}
