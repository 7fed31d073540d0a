//! Builds JSON Schemas: descriptions of files that editors and other programs understand.
//!
//! The keywords are those that editors of TOML follow when they complete a key: no `$ref`, beside
//! which they ignore every description, and no `allOf`, which they do not look into. Patterns have
//! no look-around, which not all engines of regular expressions know.

use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;

/// The draft that the schemas are written in: the newest one that the editors' checkers all read.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// The control characters, to stand inside the brackets of a pattern.
pub const CONTROL: &str = r"\x00-\x1f\x7f-\x9f";

/// The schema of one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    keywords: Map<String, Value>,
    /// A sentence that says how the value is written; it follows every description.
    form: &'static str,
}

impl Schema {
    fn new(keyword: &str, value: Value) -> Self {
        Self {
            keywords: Map::from_iter([(keyword.to_owned(), value)]),
            form: "",
        }
    }

    fn with(mut self, keyword: &str, value: impl Into<Value>) -> Self {
        self.keywords.insert(keyword.to_owned(), value.into());
        self
    }

    /// Returns the schema of any text.
    pub fn text() -> Self {
        Self::new("type", json!("string"))
    }

    /// Returns the schema of the texts in which a pattern is found.
    pub fn text_like(pattern: &str) -> Self {
        Self::text().with("pattern", pattern)
    }

    /// Returns the schema of one of some words.
    pub fn word_of<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let words: Vec<&str> = words.into_iter().collect();
        Self::text().with("enum", words)
    }

    /// Returns the schema of `true` and `false`.
    pub fn boolean() -> Self {
        Self::new("type", json!("boolean"))
    }

    /// Returns the schema of the whole numbers of a range.
    pub fn whole_number<N: Into<Value>>(range: RangeInclusive<N>) -> Self {
        let (least, most) = range.into_inner();
        Self::new("type", json!("integer"))
            .with("minimum", least)
            .with("maximum", most)
    }

    /// Returns the schema of the numbers, whole or not, from zero up to `most`.
    pub fn number_up_to(most: i64) -> Self {
        Self::new("type", json!("number"))
            .with("minimum", 0)
            .with("maximum", most)
    }

    /// Returns the schema of the numbers above zero, up to `most`.
    pub fn number_above_zero(most: i64) -> Self {
        Self::new("type", json!("number"))
            .with("exclusiveMinimum", 0)
            .with("maximum", most)
    }

    /// Returns the schema of lists whose items are all of one schema.
    pub fn list_of(items: Schema) -> Self {
        let form = items.form;
        Self::new("type", json!("array"))
            .with("items", items.keywords)
            .in_form(form)
    }

    /// Returns the schema of texts of one schema and of lists of them.
    pub fn one_or_list_of(items: Schema) -> Self {
        let mut one = items.clone();
        // A list of words would not let a list through.
        if let Some(Value::Array(words)) = one.keywords.remove("enum") {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            one = one.with("pattern", format!("^(?:{})$", words.join("|")));
        }
        one.with("type", json!(["string", "array"]))
            .with("items", items.keywords)
    }

    /// Returns the schema of the tables with any keys, and with values of one schema.
    pub fn table_of(values: Schema) -> Self {
        Self::new("type", json!("object")).with("additionalProperties", values.keywords)
    }

    /// Returns the schema of the tables whose keys are names that people choose: keys in which the
    /// pattern is found, with values of one schema.
    pub fn table_by_name(pattern: &str, values: Schema) -> Self {
        Self::new("type", json!("object"))
            .with("patternProperties", json!({ pattern: values.keywords }))
            .with("additionalProperties", false)
    }

    /// Returns the same schema with another kind of names beside those that it has.
    pub fn and_by_name(mut self, pattern: &str, values: Schema) -> Self {
        if let Some(Value::Object(names)) = self.keywords.get_mut("patternProperties") {
            names.insert(pattern.to_owned(), Value::Object(values.keywords));
        }
        self
    }

    /// Returns the same schema without the names in which the pattern is found.
    pub fn without_names_like(self, pattern: &str) -> Self {
        self.with("propertyNames", json!({ "not": { "pattern": pattern } }))
    }

    /// Returns the schema of what either of two schemas allows; both must be of different types,
    /// and each may only have keywords that say nothing about the type of the other.
    pub fn or(mut self, other: Schema) -> Self {
        let types = |schema: &Map<String, Value>| match schema.get("type") {
            Some(Value::Array(types)) => types.clone(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        };
        let both = [types(&self.keywords), types(&other.keywords)].concat();
        self.keywords.extend(other.keywords);
        let form = match self.form {
            "" => other.form,
            form => form,
        };
        self.with("type", both).in_form(form)
    }

    /// Returns the schema of the same values and of `null`.
    pub fn or_null(self) -> Self {
        self.or(Self::new("type", json!("null")))
    }

    /// Returns the same schema without empty lists.
    pub fn not_empty(self) -> Self {
        self.with("minItems", 1)
    }

    /// Returns the same schema without lists of more than `most` items.
    pub fn at_most_items(self, most: usize) -> Self {
        self.with("maxItems", most)
    }

    /// Returns the same schema without empty tables.
    pub fn not_an_empty_table(self) -> Self {
        self.with("minProperties", 1)
    }

    /// Returns the same schema without the texts in which the pattern is found.
    pub fn unless_like(self, pattern: &str) -> Self {
        self.with("not", json!({ "type": "string", "pattern": pattern }))
    }

    /// Returns the same schema without one word.
    pub fn except(self, word: &str) -> Self {
        self.with("not", json!({ "enum": [word] }))
    }

    /// Returns the same schema with values that are written as it says.
    pub fn with_examples<const N: usize>(self, examples: [&str; N]) -> Self {
        self.with("examples", examples.to_vec())
    }

    /// Returns the same schema with a sentence that says how such a value is written.
    pub fn in_form(mut self, form: &'static str) -> Self {
        self.form = form;
        self
    }

    fn described(self, description: &str) -> Self {
        let description = format!("{description} {}", self.form);
        self.with("description", description.trim_end())
    }

    /// Returns the schema of a whole file.
    pub fn of_file(self, title: &str, description: &str) -> Value {
        let file = self
            .described(description)
            .with("title", title)
            .with("$schema", DRAFT);
        Value::Object(file.keywords)
    }
}

/// The schema of a table in which each key is known, and no other key is allowed.
#[derive(Clone, Debug)]
pub struct Table {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    keywords: Map<String, Value>,
    /// What the table may not be.
    refused: Vec<Value>,
}

impl Table {
    /// Returns the schema of the empty table; `title` is the name of what the table describes.
    pub fn new(title: &str) -> Self {
        Self {
            properties: Map::new(),
            required: Vec::new(),
            keywords: Map::from_iter([("title".to_owned(), json!(title))]),
            refused: Vec::new(),
        }
    }

    /// Returns the table with a key that may be left out.
    pub fn key(mut self, key: &'static str, description: &str, schema: Schema) -> Self {
        let schema = schema.described(description);
        self.properties
            .insert(key.to_owned(), Value::Object(schema.keywords));
        self
    }

    /// Returns the table with a key that must be there.
    pub fn required(mut self, key: &'static str, description: &str, schema: Schema) -> Self {
        self.required.push(key);
        self.key(key, description, schema)
    }

    /// Returns the same table, in which exactly one of some keys must be there.
    pub fn exactly_one_of(self, keys: &[&str]) -> Self {
        self.one_required("oneOf", keys)
    }

    /// Returns the same table, in which at least one of some keys must be there.
    pub fn at_least_one_of(self, keys: &[&str]) -> Self {
        self.one_required("anyOf", keys)
    }

    /// Returns the same table, in which at least one of some keys must be there with something in
    /// it.
    pub fn at_least_one_filled(self, keys: &[&str]) -> Self {
        let filled = |key: &&str| json!({ "required": [key], "properties": { *key: { "minProperties": 1 } } });
        self.with_alternatives("anyOf", keys.iter().map(filled).collect())
    }

    fn one_required(self, keyword: &str, keys: &[&str]) -> Self {
        let required = keys.iter().map(|key| json!({ "required": [key] }));
        self.with_alternatives(keyword, required.collect())
    }

    fn with_alternatives(mut self, keyword: &str, alternatives: Value) -> Self {
        self.keywords.insert(keyword.to_owned(), alternatives);
        self
    }

    /// Returns the same table, in which some keys may not all be there at once.
    pub fn never_together(self, keys: &[&str]) -> Self {
        self.refuse(json!({ "required": keys }))
    }

    /// Returns the same table without the tables that a schema allows.
    pub fn refuse(mut self, schema: Value) -> Self {
        self.refused.push(schema);
        self
    }

    /// Returns the same table, in which each of `keys` can only be there beside `needed`.
    pub fn only_beside(mut self, keys: &[&str], needed: &str) -> Self {
        let dependencies = keys.iter().map(|key| ((*key).to_owned(), json!([needed])));
        self.keywords.insert(
            "dependencies".to_owned(),
            Value::Object(dependencies.collect()),
        );
        self
    }

    /// Returns the schema of the table.
    pub fn schema(self) -> Schema {
        let mut schema = Schema::new("type", json!("object"))
            .with("properties", self.properties)
            .with("additionalProperties", false);
        schema.keywords.extend(self.keywords);
        if !self.required.is_empty() {
            schema = schema.with("required", self.required);
        }
        match self.refused.as_slice() {
            [] => schema,
            [one] => schema.with("not", one.clone()),
            several => schema.with("not", json!({ "anyOf": several })),
        }
    }
}
