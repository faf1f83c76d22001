//! Which dialogue of a call a request speaks of, by its tags and its branch.
//!
//! Every candidate gets a rank; the best one wins, the newest among equals.

use super::call::Dialogue;
use crate::plan::Side;

/// What a request names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub(super) from_tag: &'a [u8],
    pub(super) to_tag: Option<&'a [u8]>,
    pub(super) via_branch: Option<&'a [u8]>,
}

/// The dialogue that an offer belongs to, and the side that offers. `None`: it begins a new one.
pub(super) fn offer(dialogues: &[Dialogue], names: Names<'_>) -> Option<(usize, Side)> {
    best(dialogues, |it| match (names.to_tag, it.answerer.as_deref()) {
        (Some(to), Some(answerer)) if it.offerer == names.from_tag && answerer == to => Some((3, Side::A)),
        (Some(to), Some(answerer)) if answerer == names.from_tag && it.offerer == to => Some((3, Side::B)),
        (Some(_), None) if it.offerer == names.from_tag && !branches_differ(it, names) => Some((2, Side::A)),
        // The callee offers before any answer of its has passed here.
        (Some(to), None) if it.offerer == to => Some((1, Side::B)),
        (None, _) if it.offerer == names.from_tag && !branches_differ(it, names) => {
            Some((if it.via_branch.as_deref() == names.via_branch { 3 } else { 2 }, Side::A))
        }
        (None, Some(answerer)) if answerer == names.from_tag => Some((1, Side::B)),
        _ => None,
    })
}

/// The dialogue that an answer belongs to, and the side that answers. The `from-tag` of an answer is that of the
/// offerer.
pub(super) fn answer(dialogues: &[Dialogue], names: Names<'_>) -> Option<(usize, Side)> {
    let to = names.to_tag?;
    best(dialogues, |it| match it.answerer.as_deref() {
        Some(answerer) if it.offerer == names.from_tag && answerer == to => Some((4, Side::B)),
        Some(answerer) if answerer == names.from_tag && it.offerer == to => Some((4, Side::A)),
        None if it.offerer == names.from_tag && !branches_differ(it, names) => {
            Some((if it.via_branch.as_deref() == names.via_branch { 3 } else { 2 }, Side::B))
        }
        // Some clients name whoever sends the SDP first, in an answer as in an offer.
        None if it.offerer == to && !branches_differ(it, names) => Some((1, Side::B)),
        // The call was forked behind our back: all branches have our one SDP, and the last answer is believed.
        Some(_) if it.offerer == names.from_tag && !branches_differ(it, names) => Some((1, Side::B)),
        _ => None,
    })
}

/// The dialogues that a deletion or a query names. Without a tag or branch, all.
pub(super) fn named(
    dialogues: &[Dialogue],
    from_tag: Option<&[u8]>,
    to_tag: Option<&[u8]>,
    via_branch: Option<&[u8]>,
) -> Vec<usize> {
    let meant = |it: &Dialogue| {
        let branch = via_branch.is_none_or(|branch| it.via_branch.as_deref().is_none_or(|own| own == branch));
        let tags = match (from_tag, to_tag) {
            (None, None) => true,
            (Some(one), None) | (None, Some(one)) => it.offerer == one || it.answerer.as_deref() == Some(one),
            (Some(from), Some(to)) => are(it, from, to) || are(it, to, from),
        };
        branch && tags
    };
    dialogues.iter().enumerate().filter(|(_, it)| meant(it)).map(|(index, _)| index).collect()
}

/// Whether the two tags are a dialogue's. One that was never answered has no second tag to differ from.
fn are(dialogue: &Dialogue, offerer: &[u8], answerer: &[u8]) -> bool {
    dialogue.offerer == offerer && dialogue.answerer.as_deref().is_none_or(|own| own == answerer)
}

/// Two branches are different only if both are known.
fn branches_differ(dialogue: &Dialogue, names: Names<'_>) -> bool {
    matches!((&dialogue.via_branch, names.via_branch), (Some(own), Some(other)) if own != other)
}

fn best(dialogues: &[Dialogue], rank: impl Fn(&Dialogue) -> Option<(u8, Side)>) -> Option<(usize, Side)> {
    let ranked = dialogues.iter().enumerate().filter_map(|(index, it)| rank(it).map(|rank| (rank, index)));
    ranked.max_by_key(|((rank, _), index)| (*rank, *index)).map(|((_, side), index)| (index, side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediaha_time::Time;

    fn dialogue(offerer: &str, answerer: Option<&str>, branch: Option<&str>) -> Dialogue {
        Dialogue::new(offerer.as_bytes(), answerer.map(str::as_bytes), branch.map(str::as_bytes), Time::ZERO)
    }

    fn names<'a>(from: &'a str, to: Option<&'a str>, branch: Option<&'a str>) -> Names<'a> {
        Names { from_tag: from.as_bytes(), to_tag: to.map(str::as_bytes), via_branch: branch.map(str::as_bytes) }
    }

    #[test]
    fn either_party_can_offer_again() {
        let dialogues = [dialogue("a", Some("b"), None)];
        assert_eq!(offer(&dialogues, names("a", Some("b"), None)), Some((0, Side::A)));
        assert_eq!(offer(&dialogues, names("b", Some("a"), None)), Some((0, Side::B)));
        assert_eq!(offer(&dialogues, names("b", None, None)), Some((0, Side::B)));
        assert_eq!(offer(&dialogues, names("c", None, None)), None);
    }

    #[test]
    fn either_party_can_answer() {
        let dialogues = [dialogue("a", Some("b"), None)];
        assert_eq!(answer(&dialogues, names("a", Some("b"), None)), Some((0, Side::B)));
        assert_eq!(answer(&dialogues, names("b", Some("a"), None)), Some((0, Side::A)));
        assert_eq!(answer(&dialogues, names("x", Some("b"), None)), None);
    }

    #[test]
    fn an_answer_whose_tags_are_the_wrong_way_around_is_the_other_partys() {
        let dialogues = [dialogue("a", None, None)];
        assert_eq!(answer(&dialogues, names("b", Some("a"), None)), Some((0, Side::B)));
        assert_eq!(answer(&dialogues, names("b", Some("c"), None)), None);
    }

    #[test]
    fn branches_of_one_caller_are_kept_apart() {
        let dialogues = [dialogue("a", None, Some("z1")), dialogue("a", None, Some("z2"))];
        assert_eq!(offer(&dialogues, names("a", None, Some("z1"))), Some((0, Side::A)));
        assert_eq!(offer(&dialogues, names("a", None, Some("z3"))), None);
        assert_eq!(answer(&dialogues, names("a", Some("b"), Some("z1"))), Some((0, Side::B)));
        assert_eq!(answer(&dialogues, names("a", Some("b"), None)), Some((1, Side::B)));
    }

    #[test]
    fn a_delete_takes_what_it_names() {
        let dialogues = [
            dialogue("a", Some("b"), Some("z1")),
            dialogue("a", None, Some("z2")),
            dialogue("c", Some("d"), None),
        ];
        let text = |text: &'static str| Some(text.as_bytes());
        assert_eq!(named(&dialogues, None, None, None), [0, 1, 2]);
        assert_eq!(named(&dialogues, text("a"), None, text("z2")), [1]);
        assert_eq!(named(&dialogues, text("b"), text("a"), text("z1")), [0]);
        assert_eq!(named(&dialogues, text("d"), text("c"), None), [2]);
        assert!(named(&dialogues, text("d"), text("x"), None).is_empty());
    }
}
