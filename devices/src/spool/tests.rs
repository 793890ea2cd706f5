use super::*;
use proptest::prelude::*;

const T: UnixMicros = UnixMicros(1_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn at_second(s: u64) -> UnixMicros {
    UnixMicros(T.0 + s * 1_000_000)
}

fn attempts(ends: &[Option<End>]) -> Vec<Attempt> {
    (1..).zip(ends).map(|(number, end)| Attempt { number, started: T, end: *end }).collect()
}

fn decide(ends: &[Option<End>], policy: Policy, now: UnixMicros) -> Next {
    let attempts = attempts(ends);
    next(&Facts { asked_at: T, ttl: HOUR, attempts: &attempts, word: None }, policy, now)
}

fn told(ends: &[Option<End>], word: Word) -> Next {
    let attempts = attempts(ends);
    next(&Facts { asked_at: T, ttl: HOUR, attempts: &attempts, word: Some(word) }, Policy::Hold, T)
}

#[test]
fn a_job_of_which_nothing_was_sent_is_tried_again_unmarked_after_a_pause() {
    let ends = [Some(End::NotSent)];
    assert_eq!(decide(&ends, Policy::Hold, T), Next::Wait { until: at_second(1) });
    assert_eq!(decide(&ends, Policy::Hold, at_second(1)), Next::Send { attempt: 2, banner: false });
}

#[test]
fn pauses_double_up_to_half_a_minute() {
    let until = |n: usize| match decide(&vec![Some(End::NotSent); n], Policy::Hold, T) {
        Next::Wait { until } => (until.0 - T.0) / 1_000_000,
        other => panic!("{n}: {other:?}"),
    };
    assert_eq!([1, 2, 3, 5, 6, 400].map(until), [1, 2, 4, 16, 30, 30]);
}

#[test]
fn a_printed_job_is_done_whatever_else_is_known() {
    assert_eq!(decide(&[None, Some(End::Printed)], Policy::REPRINT_ONCE, T), Next::Done);
    assert_eq!(decide(&[Some(End::Printed), Some(End::InDoubt)], Policy::REPRINT_ONCE, T), Next::Done);
    assert_eq!(decide(&[None, Some(End::Sent)], Policy::REPRINT_ONCE, T), Next::Done);
}

#[test]
fn a_second_doubt_holds_the_job() {
    let policy = Policy::REPRINT_ONCE;
    assert_eq!(decide(&[Some(End::InDoubt)], policy, T), Next::Send { attempt: 2, banner: true });
    assert_eq!(decide(&[Some(End::InDoubt), None], policy, T), Next::Hold);
}

#[test]
fn a_reprint_that_was_not_sent_stays_marked() {
    let ends = [Some(End::InDoubt), Some(End::NotSent)];
    assert_eq!(decide(&ends, Policy::REPRINT_ONCE, at_second(5)), Next::Send { attempt: 3, banner: true });
}

#[test]
fn yesterdays_receipts_do_not_spew_out_after_a_paper_change() {
    let late = at_second(3_601);
    assert_eq!(decide(&[], Policy::REPRINT_ONCE, late), Next::Expired);
    assert_eq!(decide(&[Some(End::NotSent)], Policy::REPRINT_ONCE, late), Next::Expired);
    assert_eq!(decide(&[None], Policy::REPRINT_ONCE, late), Next::Hold, "doubt is shown, not forgotten");
}

#[test]
fn a_till_whose_clock_is_ahead_still_gets_its_receipt() {
    let facts = Facts { asked_at: at_second(9_999), ttl: HOUR, attempts: &[], word: None };
    assert_eq!(next(&facts, Policy::Hold, T), Next::Send { attempt: 1, banner: false });
}

#[test]
fn a_persons_word_settles_a_doubt() {
    assert_eq!(told(&[None], Word::Printed), Next::Done);
    assert_eq!(told(&[None], Word::Abandon), Next::Done);
    assert_eq!(told(&[None, None, None], Word::Reprint), Next::Send { attempt: 4, banner: true });
    assert_eq!(told(&[], Word::Reprint), Next::Send { attempt: 1, banner: true });
    assert_eq!(told(&[None, Some(End::NotSent)], Word::Reprint), Next::Wait { until: at_second(1) });
}

#[test]
fn a_job_has_a_name_for_what_it_is() {
    let word = |ends: &[Option<End>], sending| State::of(&attempts(ends), sending).word();
    assert_eq!(word(&[], false), "accepted");
    assert_eq!(word(&[None], true), "sending");
    assert_eq!(word(&[None], false), "in_doubt");
    assert_eq!(word(&[Some(End::NotSent)], false), "failed_unsent");
    assert_eq!(word(&[Some(End::InDoubt), Some(End::NotSent)], false), "in_doubt");
    assert_eq!(word(&[Some(End::NotSent), Some(End::Printed)], false), "printed");
    assert_eq!(word(&[Some(End::InDoubt), Some(End::Printed)], false), "reprinted");
    assert_eq!(word(&[Some(End::NotSent), Some(End::Sent)], false), "sent", "nobody saw it on paper");
    assert_eq!(word(&[Some(End::InDoubt), Some(End::Sent)], false), "sent");
}

/// What a printer, cable or hub does to one attempt: what reaches paper, and what is told of it.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Fine,
    NothingSent,
    LostBeforePaper,
    LostAfterPaper,
    HubDiedBeforePaper,
    HubDiedAfterPaper,
}

impl Fate {
    fn on_paper(self) -> bool {
        matches!(self, Fate::Fine | Fate::LostAfterPaper | Fate::HubDiedAfterPaper)
    }

    fn told(self) -> Option<End> {
        match self {
            Fate::Fine => Some(End::Printed),
            Fate::NothingSent => Some(End::NotSent),
            Fate::LostBeforePaper | Fate::LostAfterPaper => Some(End::InDoubt),
            Fate::HubDiedBeforePaper | Fate::HubDiedAfterPaper => None,
        }
    }
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    use Fate::*;
    let one = prop::sample::select(vec![
        Fine,
        NothingSent,
        LostBeforePaper,
        LostAfterPaper,
        HubDiedBeforePaper,
        HubDiedAfterPaper,
    ]);
    prop::collection::vec(one, 0..12)
}

proptest! {
    #[test]
    fn whatever_happens_no_unmarked_copy_follows_another_and_a_lost_one_is_held(
        fates in fates(), doubts_max in 0_u32..5, hold in any::<bool>()
    ) {
        let policy = if hold { Policy::Hold } else { Policy::ReprintMarked { doubts_max } };
        let (mut known, mut now) = (Vec::new(), T);
        let (mut copies, mut unmarked) = (0, 0);
        let mut fates = fates.into_iter();
        let last = loop {
            let facts = Facts { asked_at: T, ttl: HOUR, attempts: &known, word: None };
            match next(&facts, policy, now) {
                Next::Wait { until } => now = until,
                Next::Send { attempt, banner } => {
                    prop_assert_eq!(usize::try_from(attempt).ok(), Some(known.len() + 1));
                    // Past the script the printer works.
                    let fate = fates.next().unwrap_or(Fate::Fine);
                    let paper = i32::from(fate.on_paper());
                    copies += paper;
                    unmarked += if banner { 0 } else { paper };
                    prop_assert!(banner || copies == paper, "an unmarked copy followed another");
                    known.push(Attempt { number: attempt, started: now, end: fate.told() });
                }
                end => break end,
            }
        };
        prop_assert!(unmarked <= 1);
        match last {
            Next::Done => prop_assert!(copies >= 1),
            Next::Hold => prop_assert!(known.iter().any(Attempt::in_doubt)),
            other => prop_assert!(false, "a printer that recovers within the hour: {:?}", other),
        }
    }

    #[test]
    fn the_order_in_which_facts_arrive_does_not_matter(
        fates in fates(), seed in any::<prop::sample::Index>(), seconds in 0_u64..8_000
    ) {
        let mut known: Vec<Attempt> = (1..)
            .zip(&fates)
            .map(|(number, fate)| Attempt { number, started: T, end: fate.told() })
            .collect();
        let decide = |attempts: &[Attempt]| {
            next(&Facts { asked_at: T, ttl: HOUR, attempts, word: None }, Policy::REPRINT_ONCE, at_second(seconds))
        };
        let before = decide(&known);
        if !known.is_empty() {
            let by = seed.index(known.len());
            known.rotate_left(by);
        }
        prop_assert_eq!(decide(&known), before);
    }
}
