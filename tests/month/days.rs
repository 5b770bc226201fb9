//! What goes well, which is nearly everything: a score of payments a day, and the noise that no finding may come of.

use super::dice::Dice;
use super::story::{Act, DAYS, Finds, Hour, OUTAGES, SILENT, found_by_asking};
use super::town::{GOLD, SHOP};

/// One thing that somebody does.
pub struct Scene {
    pub day: u32,
    pub hour: Hour,
    pub shop: &'static str,
    pub order: String,
    pub act: Act,
}

const PRICES: [Act; 6] = [
    Act::Orders { expected: "USD 3.50", begun: "3.50" },
    Act::Orders { expected: "USD 12.00", begun: "12.00" },
    Act::Orders { expected: "USD 25.00", begun: "25.00" },
    Act::Orders { expected: "USD 49.99", begun: "49.99" },
    Act::Orders { expected: "USD 110.00", begun: "110.00" },
    Act::Orders { expected: "USD 250.25", begun: "250.25" },
];

const GOLDEN: [Act; 3] = [
    Act::Orders { expected: "ZWG 95.00", begun: "95.00" },
    Act::Orders { expected: "ZWG 340.50", begun: "340.50" },
    Act::Orders { expected: "ZWG 1200.00", begun: "1200.00" },
];

const HOURS: [Hour; 3] = [Hour::Morning, Hour::Noon, Hour::Evening];

/// The everyday scenes of the whole month in any order, and what is found of those whose posts are lost for days.
pub fn everyday(dice: &mut Dice) -> (Vec<Scene>, Vec<(String, Finds)>) {
    let (mut scenes, mut finds) = (Vec::new(), Vec::new());
    for day in 1..=DAYS {
        for number in 0..14 {
            let order = format!("{}-{}", 1_000 + day, number);
            sale(dice, day, &order, &mut scenes);
        }
        for number in 0..3 {
            let order = format!("G{day}-{number}");
            let silent = SILENT.contains(&day);
            let hour = pick(dice, &HOURS[..if silent { 2 } else { 3 }]);
            let pays = if silent { Act::LosesPost("Paid") } else { Act::Moves("Paid") };
            for act in [pick(dice, &GOLDEN), pays] {
                scenes.push(Scene { day, hour, shop: GOLD, order: order.clone(), act });
            }
            if silent {
                finds.push((order, found_by_asking(day)));
            }
        }
    }
    (scenes, finds)
}

/// One sale of the larger shop.
fn sale(dice: &mut Dice, day: u32, order: &str, scenes: &mut Vec<Scene>) {
    let mut hour = pick(dice, &HOURS);
    // What is sold while nobody can be asked until the morning is a story of its own.
    if OUTAGES.iter().any(|(on, at, _)| (*on, *at) == (day, hour) && hour == Hour::Evening) {
        hour = Hour::Noon;
    }
    let mut play = |day, hour, act| scenes.push(Scene { day, hour, shop: SHOP, order: order.to_owned(), act });
    play(day, hour, pick(dice, &PRICES));
    match dice.below(20) {
        // Given up.
        0 | 1 => play(day, hour, Act::Moves("Cancelled")),
        2 => play(day, hour, Act::Moves("Failed")),
        // Held, and released in time.
        3 | 4 => {
            let delivered = day + 2 + u32::try_from(dice.below(3)).unwrap();
            play(day, hour, Act::Moves("Awaiting Delivery"));
            play(delivered, Hour::Noon, Act::Moves("Delivered"));
            play(delivered + 1, Hour::Noon, Act::Moves("Paid"));
        }
        // Noise: posts come twice, thrice, the next day again, in the wrong order, or one of several is lost.
        5 => [Act::Moves("Paid"), Act::CallsBack, Act::CallsBack].into_iter().for_each(|act| play(day, hour, act)),
        6 => {
            play(day, hour, Act::Moves("Paid"));
            play(day + 1, Hour::Morning, Act::CallsBack);
        }
        7 => [Act::Moves("Paid"), Act::ComesLate("Sent")].into_iter().for_each(|act| play(day, hour, act)),
        8 if hour != Hour::Evening => {
            play(day, hour, Act::Moves("Sent"));
            play(day, hour, Act::LosesPost("Paid"));
        }
        9 => [Act::LosesPost("Sent"), Act::Moves("Paid")].into_iter().for_each(|act| play(day, hour, act)),
        10 | 11 => [Act::Moves("Sent"), Act::Moves("Paid")].into_iter().for_each(|act| play(day, hour, act)),
        _ => play(day, hour, Act::Moves("Paid")),
    }
}

fn pick<T: Copy>(dice: &mut Dice, from: &[T]) -> T {
    from[usize::try_from(dice.below(from.len() as u64)).unwrap()]
}
