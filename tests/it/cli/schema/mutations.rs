//! Files with one thing changed: every part of a file in every way in which people get it wrong.

use serde_json::{Map, Value, json};

/// A changed file, and what was changed.
pub(super) struct Mutation {
    pub(super) what: String,
    pub(super) value: Value,
}

/// Every mutation of a file, each once.
pub(super) fn mutations(file: &Value) -> Vec<Mutation> {
    let mut all = Vec::new();
    for path in paths(file, &[]) {
        let part = path.iter().try_fold(file, |value, step| step.of(value));
        for changed in changes(part.unwrap()) {
            if changed == *part.unwrap() {
                continue;
            }
            let shown: Vec<String> = path.iter().map(Step::shown).collect();
            all.push(Mutation {
                what: format!("{} = {changed}", shown.join(".")),
                value: with(file, &path, &changed),
            });
        }
    }
    all.sort_by(|a, b| a.what.cmp(&b.what));
    all.dedup_by(|a, b| a.what == b.what);
    all
}

/// A part of a table or of a list.
#[derive(Clone)]
enum Step {
    Key(String),
    Item(usize),
}

impl Step {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Step::Key(key) => value.get(key),
            Step::Item(number) => value.get(number),
        }
    }

    fn shown(&self) -> String {
        match self {
            Step::Key(key) => key.clone(),
            Step::Item(number) => number.to_string(),
        }
    }
}

/// The paths to every part, the whole first.
fn paths(value: &Value, above: &[Step]) -> Vec<Vec<Step>> {
    let mut all = vec![above.to_vec()];
    let steps: Vec<Step> = match value {
        Value::Object(members) => members.keys().cloned().map(Step::Key).collect(),
        Value::Array(items) => (0..items.len()).map(Step::Item).collect(),
        _ => Vec::new(),
    };
    for step in steps {
        let part = step.of(value).unwrap();
        all.extend(paths(part, &[above, std::slice::from_ref(&step)].concat()));
    }
    all
}

fn with(value: &Value, path: &[Step], changed: &Value) -> Value {
    let Some((step, below)) = path.split_first() else {
        return changed.clone();
    };
    let mut whole = value.clone();
    let part = match step {
        Step::Key(key) => whole.get_mut(key),
        Step::Item(number) => whole.get_mut(number),
    };
    let part = part.unwrap();
    *part = with(part, below, changed);
    whole
}

/// A part of a file, changed in every way.
fn changes(part: &Value) -> Vec<Value> {
    let others = json!([
        "", " ", "zzz", 7, 0, -1, 1.5, 2.0, true, [], ["zzz"], [7], [[]], {}, { "zzz": 1 }
    ]);
    let mut all = others.as_array().unwrap().clone();
    match part {
        Value::String(text) => all.extend(changed_texts(text).into_iter().map(Value::from)),
        Value::Number(number) => {
            all.extend([json!(1_000_000_000_000_u64), json!(i64::MAX), json!(1e300)]);
            all.extend([json!(number.to_string()), json!(format!("{number} x"))]);
        }
        Value::Bool(value) => all.push(json!(value.to_string())),
        Value::Array(items) => all.extend(changed_lists(items)),
        Value::Object(members) => all.extend(changed_tables(members)),
        Value::Null => {}
    }
    all
}

fn changed_texts(text: &str) -> Vec<String> {
    let digits = |to: &str| {
        text.chars()
            .map(|c| match c.is_ascii_digit() {
                true => to.to_owned(),
                false => c.to_string(),
            })
            .collect::<String>()
    };
    let number: String = text
        .chars()
        .take_while(|c| "0123456789.$".contains(*c))
        .collect();
    vec![
        format!("{text}x"),
        format!("-{text}"),
        format!(" {text} "),
        format!("{text}\n"),
        format!("{text} {text}"),
        format!("{text}:"),
        format!("{text}*"),
        format!("../{text}"),
        format!("/{text}"),
        text.to_uppercase(),
        text.to_lowercase(),
        text.replace(' ', ""),
        text.replace(' ', "\u{a0}"),
        text.replace(':', ""),
        text.replace('.', ".."),
        digits("0"),
        digits("99999999"),
        digits("9e3"),
        digits("0.000000001"),
        number,
        "x".repeat(300),
        format!("nan{text}"),
    ]
}

fn changed_lists(items: &[Value]) -> Vec<Value> {
    let mut all: Vec<Value> = [json!(7), json!(""), json!("zzz"), json!({}), json!([])]
        .into_iter()
        .map(|more| json!([items, &[more]].concat()))
        .collect();
    if let [first, rest @ ..] = items {
        all.extend([
            first.clone(),
            json!(rest),
            json!([items, std::slice::from_ref(first)].concat()),
        ]);
    }
    all
}

fn changed_tables(members: &Map<String, Value>) -> Vec<Value> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Map<String, Value>)| {
        let mut changed = members.clone();
        change(&mut changed);
        all.push(Value::Object(changed));
    };
    for more in [json!(1), json!("zzz"), json!([]), json!({})] {
        add(&|table| {
            table.insert("zzz".to_owned(), more.clone());
        });
    }
    for (key, value) in members {
        add(&|table| {
            table.remove(key);
        });
        let names = [
            format!("{key}x"),
            format!("{key} "),
            format!("-{key}"),
            format!("SKY_{key}"),
            format!("{key}.{key}"),
            key.to_uppercase(),
            key.replace('_', "-"),
            String::new(),
        ];
        for name in names {
            add(&|table| {
                table.remove(key);
                table.insert(name.clone(), value.clone());
            });
        }
    }
    all
}
