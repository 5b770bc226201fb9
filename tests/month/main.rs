//! A month in a town, by a script: a score of payments a day, noise, and one fault after the other (`story.rs`). Real
//! ledger, poller, nightly run and mailer, over loopback HTTP against the simulator, while the test keeps the clock. At
//! the end of every night exactly the findings are open that the story says, and the letters say the right sums.
//!
//! With `PAYNOWD_MONTH_LETTERS=DIR` the letters of the month are left in that directory.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test that cannot go on says where and stops")]

mod days;
#[path = "../it/house/dice.rs"]
#[expect(
    dead_code,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a script's dice have a seed that never changes"
)]
mod dice;
mod letters;
mod players;
mod story;
mod town;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use paynowd::domain::{Severity, Timestamp};
use paynowd::ledger::{Concluded, Discrepancy, DiscrepancyFilter, Ledger, Scope};

use days::{Scene, everyday};
use dice::Dice;
use letters::Letter;
use players::{Players, date};
use story::{DARK, DAYS, FILES, Finds, Hour, OUTAGES, STORY};
use town::{READERS, SHOP, Town};

/// Findings by their class and what they are about, and how many of each.
type Findings = BTreeMap<(String, String), i32>;

#[tokio::test(flavor = "multi_thread")]
async fn a_month_ends_with_exactly_the_findings_that_its_story_tells() {
    let town = Town::open(hour(1, 8, 0)).await;
    let mut players = Players::new(&town);
    let (mut scenes, silent) = everyday(&mut Dice::of_seed(0x5EED));
    let mut found: Vec<(String, Finds)> = silent;
    for chapter in STORY {
        let scene = |(day, hour, act): &(u32, Hour, story::Act)| Scene {
            day: *day,
            hour: *hour,
            shop: chapter.shop,
            order: chapter.order.to_owned(),
            act: *act,
        };
        scenes.extend(chapter.scenes.iter().map(scene));
        let about = |finds: &Finds| if finds.of_integration { chapter.shop } else { chapter.order }.to_owned();
        found.extend(chapter.finds.iter().map(|finds| (about(finds), *finds)));
    }
    scenes.sort_by_key(|scene| (scene.day, scene.hour));
    let mut scenes = scenes.into_iter().peekable();
    let mut read = HashSet::new();

    for day in 1..=DAYS {
        for (at, now) in
            [(Hour::Morning, hour(day, 9, 0)), (Hour::Noon, hour(day, 13, 0)), (Hour::Evening, hour(day, 19, 0))]
        {
            town.at(now).await;
            if at == Hour::Morning && FILES.contains(&day) {
                players.settle(day).await;
            }
            let outage = OUTAGES.iter().find(|(on, hour, _)| (*on, *hour) == (day, at));
            if let Some((_, _, misbehaviour)) = outage {
                town.gateway(SHOP).misbehave(*misbehaviour);
                players.dark = true;
            }
            while let Some(scene) = scenes.next_if(|scene| (scene.day, scene.hour) <= (day, at)) {
                players.play(day, scene.shop, &scene.order, scene.act).await;
            }
            town.quiet().await;
            if outage.is_some() && at != Hour::Evening {
                town.gateway(SHOP).behave();
                players.light();
            }
        }
        let after = if day == DARK { hour(day + 1, 8, 0) } else { hour(day + 1, 2, 30) };
        town.night(after).await;

        let story = |it: &&(String, Finds)| it.1.first <= day && day < it.1.closed;
        let told: Vec<&(String, Finds)> = found.iter().filter(story).collect();
        let open = counted(&told);
        let stands = |ledger| recorded(ledger, &DiscrepancyFilter::default());
        let difference = differences(&open, &stands(&town.ledger));
        assert!(difference.is_empty(), "after the night of {day} March:{difference}");
        // Most nights the second run comes at the same moment, and now and then later, when it asks all over again.
        if day.is_multiple_of(7) {
            town.wake();
        }
        let ran = town.run_again().await;
        town.wake();
        assert!(!matches!(ran.concluded, Concluded::Reported { .. }), "a second letter of {day} March");
        assert_eq!(ran.moves.values().map(|moves| moves.opened + moves.closed).sum::<u64>(), 0, "{:?}", ran.moves);
        assert_eq!(stands(&town.ledger), open, "the second run of the night of {day} March");

        let needed = |it: &&&(String, Finds)| it.1.live && it.1.class.severity(TimeDelta::zero()) >= Severity::Warning;
        let need_you = told.iter().filter(needed).count();
        let subject = format!("Paynow {day} Mar: {} — {need_you} need you", players.paid_on(day));
        let files = town.letters(read.len() + READERS.len()).await;
        let new: Vec<&PathBuf> = files.iter().filter(|file| !read.contains(*file)).collect();
        let mut letters: Vec<(String, String)> =
            new.iter().map(|file| Letter::read(file)).map(|letter| (letter.to, letter.subject)).collect();
        letters.sort();
        assert_eq!(
            letters,
            READERS.map(|reader| (reader.to_owned(), subject.clone())),
            "one letter a night and reader"
        );
        keep(day, new[0]);
        read.extend(files);
        if players.dark {
            town.gateway(SHOP).behave();
            players.light();
        }
    }

    let ever = recorded(&town.ledger, &DiscrepancyFilter { resolved_too: true, ..DiscrepancyFilter::default() });
    let difference = differences(&counted(&found.iter().collect::<Vec<_>>()), &ever);
    assert!(difference.is_empty(), "over the month:{difference}");
    assert!(town.ledger.reader().verify(Scope::Whole).unwrap().flaws.is_empty());
}

/// A time of day in Harare, which keeps no summer time.
fn hour(day: u32, hour: u32, minute: u32) -> Timestamp {
    date(day).and_hms_opt(hour, minute, 0).unwrap().and_utc() - TimeDelta::hours(2)
}

fn counted(told: &[&(String, Finds)]) -> Findings {
    let mut findings = Findings::new();
    for (about, finds) in told {
        *findings.entry((finds.class.code().to_owned(), about.clone())).or_default() += 1;
    }
    findings
}

/// What the ledger has of it.
fn recorded(ledger: &Ledger, filter: &DiscrepancyFilter) -> Findings {
    let mut findings = Findings::new();
    let each = |it: Discrepancy| {
        let about = it.reference.map_or_else(|| it.integration.to_string(), |reference| reference.to_string());
        *findings.entry((it.class.code().to_owned(), about)).or_default() += 1;
        true
    };
    ledger.reader().discrepancies(filter, each).unwrap();
    findings
}

/// What the story has and the ledger has not, and the reverse, a line each.
fn differences(told: &Findings, recorded: &Findings) -> String {
    let mut lines = String::new();
    let all: BTreeSet<_> = told.keys().chain(recorded.keys()).collect();
    for (class, about) in all {
        let of = |findings: &Findings| findings.get(&(class.clone(), about.clone())).copied().unwrap_or_default();
        let (told, recorded) = (of(told), of(recorded));
        if told != recorded {
            let chapter = STORY.iter().find(|chapter| chapter.order == about);
            let story = chapter.map_or("an everyday sale, or a shop", |chapter| chapter.tells);
            write!(lines, "\n  {class} of {about}: told {told} times, found {recorded} times ({story})").unwrap();
        }
    }
    lines
}

/// Leaves a letter where somebody wants to read it.
fn keep(day: u32, letter: &Path) {
    if let Some(directory) = std::env::var_os("PAYNOWD_MONTH_LETTERS").map(PathBuf::from) {
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::copy(letter, directory.join(format!("{day:02}.eml"))).unwrap();
    }
}
