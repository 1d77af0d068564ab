//! vex-llm: the program in `benches/vex`.

use std::io;
use std::sync::Mutex;

use super::Lane;
use crate::contenders::Role;
use crate::llm::questions::Question;
use crate::program::Program;

pub(super) struct Vex(Mutex<Program>);

impl Vex {
    pub(super) fn holding(questions: &[Question]) -> io::Result<Self> {
        let mut program = Program::start("vex", &[])?;
        program.order(questions.len())?;
        for Question { body, text, .. } in questions {
            let body = std::str::from_utf8(body).map_err(io::Error::other)?;
            program.order(serde_json::to_string(&[body, text])?)?;
        }
        Ok(Self(Mutex::new(program.until_ready()?)))
    }
}

impl Lane for Vex {
    fn name(&self) -> (&'static str, Role) {
        ("vex-llm 1.7.0", Role::Rival)
    }

    fn ask_all(&self, _: &[Question], order: &[u32], times: &mut Vec<u32>) {
        let mut program = self.0.lock().expect("nobody panicked");
        let numbers: Vec<String> = order.iter().map(u32::to_string).collect();
        program.order(numbers.join(" ")).expect("it takes orders");
        let line = program.answer().expect("it answers");
        times.extend(line.split(' ').map(|time| time.parse::<u32>().expect("right answers")));
    }
}
