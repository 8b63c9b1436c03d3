//! Calls over networks that lose, reorder and duplicate.
use std::time::Duration;

use c4_sip_core::ua::Event;

use testkit::{Link, Network};

use crate::world::World;

/// Whatever is lost: both ends end, each once, and nothing is left behind.
#[test]
fn calls_over_a_bad_network_come_to_an_end() {
    let mut answered = 0;
    for seed in 1..=60u64 {
        for percent in [5, 20, 45] {
            let link = Link {
                latency: Duration::from_millis(10),
                jitter: Duration::from_millis(80),
                loss: f64::from(percent) / 100.0,
                duplicate: 0.3,
            };
            let mut world = World::with_network(Network::new(seed, link));
            world.add_pair();
            let caller = world.call(0, 1);
            let mut rung = false;
            for step in 0..400 {
                world.run(Duration::from_millis(100));
                let here = world.agents[1].ua.sessions().next();
                if let (Some(callee), false) = (here, rung) {
                    world.ring(1, callee);
                    rung = true;
                }
                if let (Some(callee), 20) = (here, step) {
                    world.with(1, |now, ua, layer| ua.answer(now, layer, callee, &Default::default())).ok();
                }
            }
            answered += usize::from(world.saw(0, |event| matches!(event, Event::Answered { .. })));
            let by = (seed % 2) as usize;
            let hang_up = |world: &mut World, agent| {
                world.with(agent, |now, ua, layer| {
                    for session in ua.sessions().collect::<Vec<_>>() {
                        let _ = ua.hangup(now, layer, session, None);
                    }
                });
            };
            hang_up(&mut world, by);
            world.run(Duration::from_secs(40));
            // The BYE may have been lost for good: then the other end hangs up as well.
            hang_up(&mut world, 1 - by);
            world.run_out();
            assert!(world.ended(0, caller).is_some(), "seed {seed}, {percent} %");
        }
    }
    assert!(answered > 150, "only {answered} of 180 were answered");
}
