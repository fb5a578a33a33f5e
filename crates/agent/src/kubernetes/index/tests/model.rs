//! A node that hands out few addresses again and again, and a feed that tells of it late: in order, with events told twice
//! or again after newer ones, and with lists in between. After every step the index must name exactly the pod that has
//! an address in what was told so far.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const ADDRESSES: u8 = 4;

/// What happens.
#[derive(Clone, Debug)]
enum Act {
    Create,
    /// A pod gets an address that no sandbox has.
    Run {
        pod: u8,
        address: u8,
    },
    /// It is asked to end.
    Terminate {
        pod: u8,
    },
    /// Its sandbox goes and its address is free. One that is asked to end may do so without a word.
    Stop {
        pod: u8,
        said: bool,
    },
    /// It is gone from the API.
    Delete {
        pod: u8,
    },
    /// The feed tells the next so many things.
    Tell(u8),
    /// The feed tells again what it told so many events ago.
    Repeat(u8),
    /// The feed begins anew with a list of what there is after so many more events.
    List(u8),
}

/// A pod as the API has it.
#[derive(Clone, Debug, Default)]
struct Truth {
    /// Its address, and when it got it.
    address: Option<(u8, usize)>,
    /// The address is still its own.
    sandbox: bool,
    terminating: bool,
    over: bool,
}

#[derive(Clone, Debug)]
enum Told {
    Pod(u32, Truth),
    Gone(u32),
}

/// Pods and their versions.
type State = BTreeMap<u32, (u64, Truth)>;

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Create),
        6 => (0..8u8, 0..ADDRESSES).prop_map(|(pod, address)| Act::Run { pod, address }),
        2 => (0..8u8).prop_map(|pod| Act::Terminate { pod }),
        3 => (0..8u8, any::<bool>()).prop_map(|(pod, said)| Act::Stop { pod, said }),
        2 => (0..8u8).prop_map(|pod| Act::Delete { pod }),
        8 => (1..4u8).prop_map(Act::Tell),
        3 => (1..8u8).prop_map(Act::Repeat),
        1 => (0..6u8).prop_map(Act::List),
    ]
}

struct World {
    /// Pods that the API has.
    pods: BTreeMap<u32, Truth>,
    next: u32,
    /// Everything that ever happened; the version of an event is its place, from 1.
    log: Vec<Told>,
    told: usize,
    index: Index,
}

impl World {
    fn act(&mut self, act: &Act) {
        match *act {
            Act::Create => {
                self.next += 1;
                self.change(Some(self.next), |_, _| ());
            }
            Act::Run { pod, address } => {
                let has = |truth: &Truth| truth.sandbox && truth.address.is_some_and(|(own, _)| own == address);
                let free = !self.pods.values().any(has);
                let fit = |truth: &Truth| truth.address.is_none() && !truth.terminating && !truth.over;
                let pod = self.pick(pod).filter(|id| free && fit(&self.pods[id]));
                self.change(pod, |truth, now| (truth.address, truth.sandbox) = (Some((address, now)), true));
            }
            Act::Terminate { pod } => self.change(self.pick(pod), |truth, _| truth.terminating = true),
            Act::Stop { pod, said: true } => {
                self.change(self.pick(pod), |truth, _| (truth.sandbox, truth.over) = (false, true));
            }
            Act::Stop { pod, said: false } => {
                let pod = self.pick(pod).and_then(|id| self.pods.get_mut(&id));
                if let Some(truth) = pod.filter(|truth| truth.terminating) {
                    truth.sandbox = false;
                }
            }
            Act::Delete { pod } => {
                if let Some(id) = self.pick(pod) {
                    self.pods.remove(&id);
                    self.log.push(Told::Gone(id));
                }
            }
            Act::Tell(count) => (0..count).for_each(|_| self.tell()),
            Act::Repeat(back) => {
                if let Some(at) = self.told.checked_sub(usize::from(back)) {
                    self.give(at);
                }
            }
            Act::List(ahead) => {
                self.told = (self.told + usize::from(ahead)).min(self.log.len());
                let list = self.as_told().iter().map(|(id, (version, truth))| made(*id, *version, truth)).collect();
                self.index.see_all(list, self.told as u64, Instant::now());
            }
        }
    }

    fn pick(&self, number: u8) -> Option<u32> {
        self.pods.keys().copied().nth(usize::from(number) % self.pods.len().max(1))
    }

    fn change(&mut self, pod: Option<u32>, change: impl FnOnce(&mut Truth, usize)) {
        let Some(id) = pod else { return };
        let truth = self.pods.entry(id).or_default();
        change(truth, self.log.len());
        self.log.push(Told::Pod(id, truth.clone()));
    }

    fn tell(&mut self) {
        if self.told < self.log.len() {
            self.give(self.told);
            self.told += 1;
        }
    }

    fn give(&mut self, at: usize) {
        match &self.log[at] {
            Told::Pod(id, truth) => self.index.see(made(*id, at as u64 + 1, truth)),
            Told::Gone(id) => self.index.delete(&id.to_string(), at as u64 + 1, Instant::now()),
        };
    }

    /// The cluster after everything that was told.
    fn as_told(&self) -> State {
        let mut state = State::new();
        for (at, event) in self.log[..self.told].iter().enumerate() {
            match event {
                Told::Pod(id, truth) => state.insert(*id, (at as u64 + 1, truth.clone())),
                Told::Gone(id) => state.remove(id),
            };
        }
        state
    }

    /// The simplest way to say who has an address: of all pods that say so and are not over, one that is not about to
    /// end, else the one that came by it last.
    fn check(&self) {
        let state = self.as_told();
        for address in 0..ADDRESSES {
            let claims = state.iter().filter_map(|(id, (_, truth))| {
                let (own, since) = truth.address.filter(|_| !truth.over)?;
                (own == address).then_some((!truth.terminating, since, *id))
            });
            let claims: Vec<_> = claims.collect();
            assert!(claims.iter().filter(|claim| claim.0).count() <= 1, "the model gives an address to one pod only");
            let expected = claims.into_iter().max().map(|(_, _, id)| id.to_string());
            let found = self.index.by_address(ip(address)).map(|pod| pod.uid.to_string());
            assert_eq!(found, expected, "address {address}, told {:?}", &self.log[..self.told]);
        }
        assert_eq!(self.index.len(), state.len());
        assert!(state.keys().all(|id| self.index.by_uid(&id.to_string()).is_some()));
    }
}

fn ip(address: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, address])
}

fn made(id: u32, version: u64, truth: &Truth) -> Seen {
    let pod = Pod {
        uid: id.to_string().into(),
        name: format!("pod-{}", id % 3).into(),
        addresses: truth.address.iter().map(|(address, _)| ip(*address)).collect(),
        started: truth.address.map(|(_, since)| format!("{since:08}").into()),
        phase: if truth.over { Phase::Succeeded } else { Phase::Running },
        deleted: truth.terminating,
        ..Pod::default()
    };
    seen(version, pod)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_address_ever_finds_the_wrong_pod(acts in prop::collection::vec(act(), 1..80)) {
        let mut world = World { pods: BTreeMap::new(), next: 0, log: Vec::new(), told: 0, index: index() };
        for act in &acts {
            world.act(act);
            world.check();
        }
        while world.told < world.log.len() {
            world.tell();
            world.check();
        }
    }
}
