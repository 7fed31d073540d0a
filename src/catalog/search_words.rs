//! A question in words: `8x A100 80GB in the EU under $20/h`.
//!
//! Every word must be understood: one that is not is an error that names it, never left out.

use crate::catalog::search::{Search, has_service};
use crate::catalog::{Catalog, query};
use crate::model::{AcceleratorNeed, Bytes, Pattern, Rate, ServiceNeed, Tee, geography};

/// What is wrong with a query: the message names the words, the hint says what would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstood {
    /// What is wrong, with the words of the query.
    pub message: String,
    /// What would be understood.
    pub hint: String,
}

fn misunderstood(message: impl Into<String>, hint: impl Into<String>) -> Misunderstood {
    Misunderstood {
        message: message.into(),
        hint: hint.into(),
    }
}

const FORMS: &str = "write it like `8x A100-80GB in the EU under $20/h`, `32 vcpus, 128 GiB memory on aws or gcp`, `spot`";

/// Adds what the words say to a search.
pub fn read(text: &str, catalog: &Catalog, search: &mut Search) -> Result<(), Misunderstood> {
    let spaced = text.replace(',', " , ");
    let spaced_words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &spaced_words,
        at: 0,
        catalog,
        search,
    };
    while reader.at < spaced_words.len() {
        reader.term()?;
    }
    Ok(())
}

struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
    catalog: &'a Catalog,
    search: &'a mut Search,
}

impl<'a> Reader<'a> {
    /// The word so far ahead, in small letters; empty at the end.
    fn word(&self, ahead: usize) -> String {
        self.words
            .get(self.at + ahead)
            .map(|word| word.to_ascii_lowercase())
            .unwrap_or_default()
    }

    fn taken(&mut self, words: usize) -> Result<(), Misunderstood> {
        self.at += words;
        Ok(())
    }

    fn term(&mut self) -> Result<(), Misunderstood> {
        let (first, second) = (self.word(0), self.word(1));
        match (first.as_str(), second.as_str()) {
            (
                "with" | "and" | "a" | "an" | "the" | "," | "machine" | "machines" | "offer"
                | "offers",
                _,
            ) => self.taken(1),
            ("spot", _) => {
                self.search.spot = true;
                self.taken(1)
            }
            ("on-demand", _) => self.taken(1),
            ("on", "demand") => self.taken(2),
            ("in" | "on" | "at", "least") | ("at", "most") if first != "at" => Err(self.unknown()),
            ("at", "least") => self.taken(2).and_then(|()| self.quantity()),
            ("at", "most") | ("up", "to") | ("less" | "cheaper", "than") | ("no", "more") => {
                let more_than = usize::from(first == "no");
                if more_than == 1 && self.word(2) != "than" {
                    return Err(self.unknown());
                }
                self.at += 2 + more_than;
                self.price(matches!(first.as_str(), "less" | "cheaper"))
            }
            ("under" | "below" | "<", _) => self.taken(1).and_then(|()| self.price(true)),
            ("max" | "<=", _) => self.taken(1).and_then(|()| self.price(false)),
            ("in" | "on" | "at", _) => self.taken(1).and_then(|()| self.somewhere()),
            _ => self.thing(),
        }
    }

    fn unknown(&self) -> Misunderstood {
        let word = self.words.get(self.at).copied().unwrap_or_default();
        let nearest_name =
            query::nearest(self.catalog, word).map(|near| format!("did you mean `{near}`? else "));
        misunderstood(
            format!("`{word}` is not understood"),
            format!("{}{FORMS}", nearest_name.unwrap_or_default()),
        )
    }

    /// A price per hour; `below`: less than that.
    fn price(&mut self, below: bool) -> Result<(), Misunderstood> {
        let word = self.word(0);
        let (amount, unit) = word.split_once('/').unwrap_or((&word, ""));
        let plain_amount = amount
            .strip_prefix('$')
            .or_else(|| amount.strip_suffix("usd"))
            .unwrap_or(amount);
        let rate = Rate::parse_usd(plain_amount).map_err(|_| {
            let shown_word = self.words.get(self.at).copied().unwrap_or("nothing");
            misunderstood(
                format!("`{shown_word}` is not a price"),
                "write it like `under $20/h`",
            )
        })?;
        if !matches!(unit, "" | "h" | "hr" | "hour") {
            return Err(misunderstood(
                format!("`{unit}` is not an hour"),
                "prices are per hour: `under $20/h`",
            ));
        }
        self.at += 1;
        if matches!(self.word(0).as_str(), "usd" | "dollars") {
            self.at += 1;
        }
        let per_hour = (self.word(0), self.word(1));
        match (per_hour.0.as_str(), per_hour.1.as_str()) {
            ("per" | "an" | "a", "h" | "hour") => self.at += 2,
            ("per", other) => {
                let message = format!("`{other}` is not an hour");
                return Err(misunderstood(message, "prices are per hour: `under $20/h`"));
            }
            ("hourly", _) => self.at += 1,
            _ => {}
        }
        if self.search.max_rate.is_some() {
            return Err(misunderstood(
                "there are two prices",
                "say `under $20/h` once",
            ));
        }
        self.search.max_rate = Some(rate);
        self.search.below = below;
        Ok(())
    }

    /// Countries, blocs, clouds and places after `in`, `on`, `at`.
    fn somewhere(&mut self) -> Result<(), Misunderstood> {
        loop {
            if self.word(0) == "the" {
                self.at += 1;
            }
            let Some(word) = self.words.get(self.at).copied() else {
                return Err(misunderstood(
                    "there is no place after `in`",
                    "name a country, a bloc, a cloud or a place",
                ));
            };
            where_to(word, self.catalog, self.search)?;
            self.at += 1;
            let joined = matches!(self.word(0).as_str(), "or" | ",");
            let next_word = self.word(1);
            let goes_on = self.words.get(self.at + 1).is_some_and(|word| {
                next_word == "the" || where_to(word, self.catalog, &mut Search::default()).is_ok()
            });
            if joined && (goes_on || self.word(0) == "or") {
                self.at += 1;
            } else {
                return Ok(());
            }
        }
    }

    /// An accelerator, vCPUs, memory, an environment or an architecture.
    fn thing(&mut self) -> Result<(), Misunderstood> {
        let word = self.word(0);
        if let Some(tee) = Tee::parse(&word) {
            self.search.tee.insert(tee);
            return self.taken(1);
        }
        if let Some(arch) = meant_architecture(&word) {
            self.search.arch = Some(arch.to_owned());
            return self.taken(1);
        }
        if let Some(need) = ServiceNeed::parse(&word)
            .ok()
            .filter(|need| has_service(self.catalog, &need.name))
        {
            if self.search.service.replace(need).is_some() {
                return Err(misunderstood(
                    format!("`{word}` is a second service"),
                    "search for each",
                ));
            }
            return self.taken(1);
        }
        if let Some((count, words)) = self.count() {
            // `8x A100 80GB`, or `8 x A100`.
            let start = self.at;
            self.at += words;
            if self.accelerator(Some(count))? {
                return Ok(());
            }
            let message = match self.words.get(self.at) {
                Some(word) => format!("`{word}` is not an accelerator of this catalog"),
                None => format!("`{}` of what?", self.words[start]),
            };
            return Err(misunderstood(
                message,
                "`sky catalog show A100-80GB` shows one; a bare `8x` needs its name",
            ));
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) && !self.names_accelerator() {
            return self.quantity();
        }
        if self.accelerator(None)? {
            Ok(())
        } else {
            Err(self.unknown())
        }
    }

    /// `8x` or `8 x`: the number, and how many words it takes. `8xA100` is split by
    /// [`Self::accelerator`].
    fn count(&self) -> Option<(String, usize)> {
        let word = self.word(0);
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match word.strip_suffix('x') {
            Some(number) if digits(number) => Some((number.to_owned(), 1)),
            _ if digits(&word) && self.word(1) == "x" => Some((word, 2)),
            _ => None,
        }
    }

    fn names_accelerator(&self) -> bool {
        self.words
            .get(self.at)
            .is_some_and(|word| self.split(word).is_some())
    }

    /// A word as an accelerator's name, with the count in it: `A100:8`, `8xA100`.
    fn split(&self, word: &str) -> Option<(String, Option<String>)> {
        if let Some(name) = self.catalog.accelerator_name(word) {
            return Some((name.to_owned(), None));
        }
        let is_count = |count: &str| count.parse::<u32>().is_ok_and(|count| count > 0);
        if let Some((name, count)) = word.rsplit_once(':').filter(|(_, count)| is_count(count)) {
            return Some((
                self.catalog.accelerator_name(name)?.to_owned(),
                Some(count.to_owned()),
            ));
        }
        let (count, name) = word.split_once(['x', 'X'])?;
        is_count(count).then_some(())?;
        Some((
            self.catalog.accelerator_name(name)?.to_owned(),
            Some(count.to_owned()),
        ))
    }

    /// Takes the longest run of words that names an accelerator; whether there is one.
    fn accelerator(&mut self, count: Option<String>) -> Result<bool, Misunderstood> {
        let most_words = (self.words.len() - self.at).min(4);
        for words in (1..=most_words).rev() {
            let run = &self.words[self.at..self.at + words];
            let joined = [run.join("-"), run.join(" "), run.concat()];
            let Some((name, own)) = joined.iter().find_map(|name| self.split(name)) else {
                continue;
            };
            let written = run.join(" ");
            let text = match (count.clone(), own) {
                (Some(_), Some(_)) => {
                    return Err(misunderstood(
                        format!("`{written}` has two counts"),
                        "write `8x A100` or `A100:8`",
                    ));
                }
                (Some(count), None) | (None, Some(count)) => format!("{name}:{count}"),
                (None, None) => name,
            };
            let need = AcceleratorNeed::parse(&text)
                .map_err(|error| misunderstood(error.to_string(), FORMS))?;
            if self.search.accelerator.replace(need).is_some() {
                let message = format!("`{written}` is a second accelerator");
                return Err(misunderstood(
                    message,
                    "a machine has one kind: search for each",
                ));
            }
            self.at += words;
            if matches!(
                self.word(0).as_str(),
                "gpu" | "gpus" | "card" | "cards" | "s"
            ) {
                self.at += 1;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// `32 vcpus`, `256 GiB memory`.
    fn quantity(&mut self) -> Result<(), Misunderstood> {
        let first_word = self.words.get(self.at).copied().unwrap_or_default();
        let cpus =
            |word: &str| matches!(word, "vcpu" | "vcpus" | "cpu" | "cpus" | "core" | "cores");
        if cpus(&self.word(1)) {
            let count = crate::model::units::scaled(first_word, 1000)
                .ok()
                .and_then(|count| u64::try_from(count).ok());
            let count = count.ok_or_else(|| {
                misunderstood(format!("`{first_word}` is not a number of vCPUs"), FORMS)
            })?;
            self.search.min_vcpus = self.search.min_vcpus.max(count);
            return self.taken(2);
        }
        // One word or two: `256GiB`, `256 GiB`.
        let second_word = self.words.get(self.at + 1).copied().unwrap_or_default();
        let sizes = [
            (Bytes::parse(first_word), 1),
            (Bytes::parse(&format!("{first_word} {second_word}")), 2),
        ];
        for (size, words) in sizes {
            let Ok(size) = size else { continue };
            if matches!(self.word(words).as_str(), "memory" | "ram" | "mem") {
                self.search.min_memory = self.search.min_memory.max(size);
                return self.taken(words + 1);
            }
            let written = self.words[self.at..self.at + words].join(" ");
            return Err(misunderstood(
                format!("`{written}` of what?"),
                format!("write `{written} memory`"),
            ));
        }
        if first_word.is_empty() {
            return Err(misunderstood("there is nothing after `at least`", FORMS));
        }
        Err(self.unknown())
    }
}

/// The architecture that a word means.
fn meant_architecture(word: &str) -> Option<&'static str> {
    match word {
        "x86_64" | "x86" | "amd64" => Some("x86_64"),
        "arm64" | "arm" | "aarch64" => Some("arm64"),
        _ => None,
    }
}

/// Adds a country, a bloc, a cloud or a place, the last two also as patterns.
pub fn where_to(word: &str, catalog: &Catalog, search: &mut Search) -> Result<(), Misunderstood> {
    if let Some(countries) =
        geography::countries(word).or_else(|| geography::countries(&word.to_ascii_uppercase()))
    {
        search
            .countries
            .extend(countries.into_iter().map(str::to_owned));
        return Ok(());
    }
    let pattern = Pattern(word.to_owned());
    if word.contains(':') {
        if catalog
            .places
            .iter()
            .any(|place| pattern.matches(&place.name.to_string()))
        {
            search.places.insert(pattern);
            return Ok(());
        }
    } else if catalog
        .places
        .iter()
        .any(|place| pattern.matches(&place.name.cloud))
    {
        search.clouds.insert(pattern);
        return Ok(());
    }
    let nearest_name = query::nearest(catalog, word).map(|near| format!("did you mean `{near}`? "));
    let blocs: Vec<&str> = geography::blocs().collect();
    Err(misunderstood(
        format!("`{word}` is not a country, bloc, cloud or place of this catalog"),
        format!(
            "{}countries are ISO 3166 codes such as DE, blocs {}; places are like `aws:eu-*`",
            nearest_name.unwrap_or_default(),
            blocs.join(", ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::load;
    use crate::catalog::search::said;

    fn catalog() -> &'static Catalog {
        static CATALOG: std::sync::OnceLock<Catalog> = std::sync::OnceLock::new();
        CATALOG.get_or_init(|| load::shipped().unwrap())
    }

    fn asked(text: &str) -> Result<Search, Misunderstood> {
        let mut search = Search::default();
        read(text, catalog(), &mut search).map(|()| search)
    }

    #[test]
    fn the_same_question_in_many_words() {
        let eu = geography::countries("EU")
            .unwrap()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let wanted = Search {
            accelerator: Some(AcceleratorNeed::parse("A100-80GB:8").unwrap()),
            countries: eu,
            max_rate: Some(Rate(20_000_000_000)),
            below: true,
            ..Search::default()
        };
        for text in [
            "8x A100 80GB in the EU under $20/h",
            "8 x a100-80gb in EU below 20 usd per hour",
            "8xA100-80GB, in the eu, less than $20 an hour",
            "under $20.00/hour A100-80GB:8 in EU",
            "a machine with 8x A100 80GB gpus and in the EU < $20",
        ] {
            assert_eq!(asked(text), Ok(wanted.clone()), "{text}");
        }
        assert_eq!(
            said(&wanted),
            "at least 8 A100-80GB, in EU, under $20.00/h, on demand"
        );
    }

    #[test]
    fn other_questions() {
        let search =
            asked("spot at least 32 vcpus and 128 GiB memory on aws or gcp, arm64 up to $2")
                .unwrap();
        let clouds = ["aws", "gcp"].map(|cloud| Pattern(cloud.to_owned()));
        let wanted = Search {
            spot: true,
            min_vcpus: 32_000,
            min_memory: Bytes(128 << 30),
            clouds: clouds.into(),
            arch: Some("arm64".to_owned()),
            max_rate: Some(Rate(2_000_000_000)),
            ..Search::default()
        };
        assert_eq!(search, wanted);
        let search = asked("tpu-v3-8 at gcp:us-* on demand").unwrap();
        assert_eq!(
            search.accelerator,
            Some(AcceleratorNeed::parse("tpu-v3-8").unwrap())
        );
        assert_eq!(search.places, [Pattern("gcp:us-*".to_owned())].into());
        assert_eq!(
            asked("sev-snp in DE or FR").unwrap().countries,
            ["DE", "FR"].map(str::to_owned).into()
        );
        assert_eq!(asked(""), Ok(Search::default()));
    }

    #[test]
    fn a_word_that_is_not_understood_is_named() {
        for (text, says) in [
            (
                "8x A100 80GB in the EU under $20/h please",
                "`please` is not understood",
            ),
            ("8x Z9000", "`Z9000` is not an accelerator"),
            ("8x", "`8x` of what?"),
            (
                "A100 in Europe",
                "`Europe` is not a country, bloc, cloud or place",
            ),
            ("A100 in Narnia", "`Narnia` is not a country"),
            ("A100 in", "there is no place after `in`"),
            ("A100 under cheap", "`cheap` is not a price"),
            ("A100 under $20/month", "`month` is not an hour"),
            ("A100 under $20 per month", "`month` is not an hour"),
            ("A100 under", "`nothing` is not a price"),
            ("64 GB", "`64 GB` of what?"),
            ("A100 V100", "`V100` is a second accelerator"),
            ("8x A100:8", "two counts"),
            ("under $2 under $3", "two prices"),
            ("without spot", "`without` is not understood"),
            ("not in the EU", "`not` is not understood"),
            ("at least", "nothing after `at least`"),
            ("32 monkeys", "`32` is not understood"),
        ] {
            let error = asked(text).unwrap_err();
            assert!(error.message.contains(says), "{text}: {error:?}");
        }
    }
}
