//! The queue, retry and journal as a story that is drawn from a seed: one thread, a clock that jumps to whatever happens
//! next, a backend with moods, a disk that fails, and the end of the process at any moment or within any write.
//!
//! After each story what arrived is compared, item by item, with what was acknowledged. A seed that fails prints what
//! happened and how to run it alone. It stands beside the property test of the store (any order of operations, below the
//! clock) and the chaos run of the program (real sockets and files, above it); decision 11 says why it is made by hand.

/// The backend's moods, and everything that is known of every item.
mod world;

/// One life of the process.
mod life;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use self::life::{Fate, live};
use self::world::{Figures, Settings, World};
use super::sim::Sim;

/// What is told from one seed; panics where something does not hold.
fn story(seed: u64) -> (Vec<String>, Figures) {
    let world = World::new(seed);
    let settings = Settings::draw(&world);
    let told = catch_unwind(AssertUnwindSafe(|| {
        let disk = Sim::default();
        for _ in 0..world.below(4) {
            live(&world, &settings, &disk, Fate::draw(&world, &settings));
        }
        live(&world, &settings, &disk, Fate::InPeace);
        world.check(&settings);
    }));
    if let Err(why) = told {
        world.log().iter().for_each(|line| println!("{line}"));
        println!(
            "{settings:?}\nseed {seed}; alone: SEED={seed} cargo test -p otel-agent --lib journal::tests::simulation"
        );
        resume_unwind(why);
    }
    (world.log(), world.figures())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn what_was_acknowledged_arrives_and_every_item_is_in_the_books_whatever_the_seed() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(1000),
    };
    let alone = seeds.end - seeds.start == 1;
    let mut all = Figures::default();
    for seed in seeds {
        let (log, figures) = story(seed);
        if alone {
            log.iter().for_each(|line| println!("{line}"));
        }
        all.add(&figures);
    }
    println!("{all:#?}");
    // A change that makes the stories harmless is noticed here.
    assert!(alone || (all.crashes > 0 && all.twice > 0 && all.replayed > 0 && all.refused_offers > 0), "{all:?}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 0..30 {
        let (first, second) = (story(seed).0, story(seed).0);
        let differs = first.iter().zip(&second).position(|(one, two)| one != two);
        let near = |log: &[String]| differs.map(|at| log[at.saturating_sub(3)..(at + 3).min(log.len())].to_vec());
        assert_eq!(near(&first), near(&second), "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}
