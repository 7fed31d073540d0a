//! Raising the messages of one star as far as its prices let them.

use super::grid::{Grid, Star};
use super::sweeper::{FAR, Mail, Sweeper};
use crate::planning::problem::Origin;
use crate::planning::solve::bound::network::StarId;

impl Sweeper {
    /// Fills `room`: by target and slot of the origin, what is left of the price.
    fn rooms(&mut self, index: StarId) {
        let Self {
            grid,
            mail,
            room,
            held,
            ..
        } = self;
        let star = &grid.stars[index];
        let (at, times) = grid.source(star);
        room.clear();
        for target in 0..star.targets.len() {
            for from in 0..at.len() - 1 {
                let price = star.price[from * star.targets.len() + target];
                room.extend(std::iter::repeat_n(price, at[from + 1] - at[from]));
            }
        }
        for (number, up) in mail[index].up.iter().enumerate() {
            most_later(grid, star, number, &mail[index].down[number], held);
            for (to, target) in star.slots[number].iter().enumerate() {
                let room_row = &mut room[target * times.len()..(target + 1) * times.len()];
                for from in 0..at.len() - 1 {
                    grid.each_pair(star, number, from, to, |end, slot| {
                        room_row[end] -= (up[end] + held[slot]).max(0)
                    });
                }
            }
        }
    }

    /// Raises what the readers pay to the origin.
    pub(super) fn lift_origin(&mut self, index: StarId) {
        let readers = self.grid.stars[index].readers.len();
        if readers > 1 {
            self.rooms(index);
        }
        for number in 0..readers {
            self.lift_up(index, number, (readers - number) as i64);
        }
    }

    fn lift_up(&mut self, index: StarId, number: usize, share: i64) {
        let Self {
            grid,
            mail,
            room,
            held,
            out,
            constant,
            ..
        } = self;
        let star = &grid.stars[index];
        let (at, times) = grid.source(star);
        let Mail { up, down } = &mut mail[index];
        let reader_up = &mut up[number];
        most_later(grid, star, number, &down[number], held);
        let mut raises = vec![FAR; times.len()];
        let lone = star.readers.len() == 1;
        for (to, target) in star.slots[number].iter().enumerate() {
            for from in 0..at.len() - 1 {
                if lone {
                    let price = star.price[from * star.targets.len() + target];
                    grid.each_pair(star, number, from, to, |end, slot| {
                        raises[end] = raises[end].min(price - held[slot])
                    });
                } else {
                    let room_row = &room[target * times.len()..(target + 1) * times.len()];
                    grid.each_pair(star, number, from, to, |end, slot| {
                        let joint_part = reader_up[end] + held[slot];
                        let row_part = if share == 1 {
                            room_row[end]
                        } else {
                            room_row[end] / share
                        };
                        raises[end] = raises[end].min(row_part - joint_part.min(0));
                    });
                }
            }
        }
        for (raise, up) in raises.iter_mut().zip(reader_up.iter()) {
            let raised = if lone { *raise - up } else { *raise };
            *raise = if *raise >= FAR / 2 { 0 } else { raised.max(0) };
        }
        if !lone {
            for (to, target) in star.slots[number].iter().enumerate() {
                let room_row = &mut room[target * times.len()..(target + 1) * times.len()];
                for from in 0..at.len() - 1 {
                    grid.each_pair(star, number, from, to, |end, slot| {
                        let joint_part = reader_up[end] + held[slot];
                        room_row[end] -= (joint_part + raises[end]).max(0) - joint_part.max(0);
                    });
                }
            }
        }
        reader_up
            .iter_mut()
            .zip(&raises)
            .for_each(|(up, raise)| *up += raise);
        match star.origin {
            Origin::Site(_) => *constant += raises[0],
            Origin::Stage(stage) => out[stage]
                .iter_mut()
                .zip(&raises)
                .for_each(|(out, raise)| *out += raise),
        }
    }

    /// Raises what the readers get.
    pub(super) fn lift_readers(&mut self, index: StarId) {
        let readers = self.grid.stars[index].readers.len();
        if readers > 1 {
            self.rooms(index);
        }
        for number in 0..readers {
            let Self {
                grid,
                mail,
                room,
                held,
                into,
                ..
            } = self;
            let star = &grid.stars[index];
            let (at, times) = grid.source(star);
            let share = (readers - number) as i64;
            let Mail { up, down } = &mut mail[index];
            let (up, down) = (&up[number], &mut down[number]);
            most_later(grid, star, number, down, held);
            let reader = star.readers[number];
            let reader_starts = &grid.nodes[reader].start;
            // The most that a slot may get: no more than any slot before it.
            let mut raised = vec![FAR; down.len()];
            for (to, target) in star.slots[number].iter().enumerate() {
                for from in 0..at.len() - 1 {
                    if readers == 1 {
                        let price = star.price[from * star.targets.len() + target];
                        grid.each_pair(star, number, from, to, |end, slot| {
                            raised[slot] = raised[slot].min(price - up[end]);
                        });
                    } else {
                        let room_row = &room[target * times.len()..(target + 1) * times.len()];
                        grid.each_pair(star, number, from, to, |end, slot| {
                            let joint_part = (up[end] + held[slot]).max(0);
                            let row_part = if share == 1 {
                                room_row[end]
                            } else {
                                room_row[end] / share
                            };
                            raised[slot] = raised[slot].min(joint_part + row_part - up[end]);
                        });
                    }
                }
                let mut least_value = FAR;
                for slot in reader_starts.range(to) {
                    least_value = least_value.min(raised[slot]);
                    raised[slot] = if least_value >= FAR / 2 {
                        down[slot]
                    } else {
                        least_value.max(down[slot])
                    };
                }
            }
            if readers > 1 {
                let mut value_taken = std::mem::take(held);
                let values_before = value_taken.clone();
                most_later(grid, star, number, &raised, &mut value_taken);
                for (to, target) in star.slots[number].iter().enumerate() {
                    let room_row = &mut room[target * times.len()..(target + 1) * times.len()];
                    for from in 0..at.len() - 1 {
                        grid.each_pair(star, number, from, to, |end, slot| {
                            room_row[end] -= (up[end] + value_taken[slot]).max(0)
                                - (up[end] + values_before[slot]).max(0);
                        });
                    }
                }
                *held = value_taken;
            }
            for ((into, down), raised) in into[reader].iter_mut().zip(down).zip(raised) {
                *into += raised - *down;
                *down = raised;
            }
        }
    }
}

/// By slot of a reader: the most that it or a later one there gets.
fn most_later(grid: &Grid, star: &Star, number: usize, down: &[i64], held_values: &mut Vec<i64>) {
    held_values.clear();
    held_values.extend_from_slice(down);
    let reader_starts = &grid.nodes[star.readers[number]].start;
    for to in 0..star.slots[number].len() {
        let range = reader_starts.range(to);
        for slot in range.start..range.end.saturating_sub(1).max(range.start) {
            let mirrored_index = range.end - 2 - (slot - range.start);
            held_values[mirrored_index] =
                held_values[mirrored_index].max(held_values[mirrored_index + 1]);
        }
    }
}
