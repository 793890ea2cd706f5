//! Settings in layers: default, file, environment, flag; each value knows where it came from.
//!
//! The default configuration, written as a table, is the list of all keys: whatever is not in it is refused with its path,
//! and so is a value of another type. All problems are reported together, and nothing is taken over while there is one.

use serde::de::{self, DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use thiserror::Error;
use toml::{Table, Value};

/// Milliseconds, written as `"250ms"`, `"2s"`, `"15min"` or `"1h"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Millis(pub u64);

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0)
    }
}

const UNITS: [(&str, u64); 4] = [("ms", 1), ("min", 60_000), ("s", 1_000), ("h", 3_600_000)];

impl Millis {
    /// Reads a number and a unit; `None` when it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, factor) =
            UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
        digits.trim_end().parse::<u64>().ok()?.checked_mul(*factor).map(Self)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut largest_first = UNITS;
        largest_first.sort_by_key(|(_, factor)| std::cmp::Reverse(*factor));
        let fits = largest_first.iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor));
        let (unit, factor) = fits.unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("\"{text}\" is no duration; write a number and ms, s, min or h"))
        })
    }
}

/// Why no configuration came out. *Shape*: one line a problem, each with its origin and the key's path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub struct Problems(pub Vec<String>);

/// Layers on their way to a configuration.
#[derive(Debug)]
pub struct Settings {
    values: BTreeMap<String, (Value, String)>,
    problems: Vec<String>,
}

impl Settings {
    /// Starts from the default configuration, which also says which keys there are.
    #[must_use]
    pub fn of<T: Serialize>(default: &T) -> Self {
        let table = Table::try_from(default).expect("a configuration is a table of plain values");
        let mut flat = BTreeMap::new();
        flatten("", table, &mut flat);
        let values = flat.into_iter().map(|(key, value)| (key, (value, "default".to_owned()))).collect();
        Self { values, problems: Vec::new() }
    }

    /// Lays a TOML file over what is there.
    pub fn file(&mut self, name: &str, text: &str) {
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(problem) => {
                self.problems.push(format!("{name}: {}", problem.to_string().trim_end()));
                return;
            }
        };
        let mut flat = BTreeMap::new();
        self.flatten_known("", table, &mut flat);
        for (key, value) in flat {
            self.set(&key, value, name.to_owned());
        }
    }

    /// Lays environment variables over what is there: `links.patience` is `PREFIX_LINKS_PATIENCE`.
    ///
    /// A variable with the prefix that names no key is refused too.
    pub fn environment(&mut self, prefix: &str, variables: impl IntoIterator<Item = (String, String)>) {
        let known: BTreeMap<String, String> =
            self.values.keys().map(|key| (variable(prefix, key), key.clone())).collect();
        for (name, text) in variables {
            if !name.starts_with(&format!("{prefix}_")) {
                continue;
            }
            match known.get(&name) {
                Some(key) => self.text(&key.clone(), &text, format!("environment {name}")),
                None => self.problems.push(format!("environment {name}: there is no such setting")),
            }
        }
    }

    /// Lays one flag over what is there.
    pub fn flag(&mut self, key: &str, text: &str) {
        self.text(key, text, "flag".to_owned());
    }

    /// The configuration.
    ///
    /// Errors: every problem of every layer, together.
    pub fn finish<T: DeserializeOwned>(&self) -> Result<T, Problems> {
        let mut problems = self.problems.clone();
        if problems.is_empty() {
            match self.table().try_into() {
                Ok(config) => return Ok(config),
                Err(problem) => problems.push(problem.to_string().trim_end().replace('\n', " ")),
            }
        }
        Err(Problems(problems))
    }

    /// Each key with its value and where that came from, for `config check`.
    pub fn origins(&self) -> impl Iterator<Item = (&str, String, &str)> {
        self.values.iter().map(|(key, (value, origin))| (key.as_str(), value.to_string(), origin.as_str()))
    }

    fn text(&mut self, key: &str, text: &str, origin: String) {
        let value = match self.values.get(key) {
            Some((Value::String(_), _)) | None => Value::String(text.to_owned()),
            Some((Value::Array(_), _)) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
            }
            Some(_) => match format!("value = {text}").parse::<Table>() {
                Ok(mut table) => table.remove("value").unwrap_or_else(|| Value::String(text.to_owned())),
                Err(_) => Value::String(text.to_owned()),
            },
        };
        self.set(key, value, origin);
    }

    fn set(&mut self, key: &str, value: Value, origin: String) {
        match self.values.get_mut(key) {
            Some((known, _)) if !known.same_type(&value) => {
                let (want, got) = (known.type_str(), value.type_str());
                self.problems.push(format!("{origin}: {key}: expected {want}, found {got}"));
            }
            Some(slot) => *slot = (value, origin),
            None => self.problems.push(format!("{origin}: {key}: there is no such setting")),
        }
    }

    fn flatten_known(&self, path: &str, table: Table, out: &mut BTreeMap<String, Value>) {
        for (key, value) in table {
            let path = if path.is_empty() { key } else { format!("{path}.{key}") };
            match value {
                Value::Table(inner) if !self.values.contains_key(&path) => {
                    self.flatten_known(&path, inner, out)
                }
                value => {
                    out.insert(path, value);
                }
            }
        }
    }

    fn table(&self) -> Table {
        let mut root = Table::new();
        for (key, (value, _)) in &self.values {
            let mut path: Vec<&str> = key.split('.').collect();
            let Some(last) = path.pop() else { continue };
            let mut at = &mut root;
            for part in path {
                let inner = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(inner) = inner else { unreachable!("a section is a table") };
                at = inner;
            }
            at.insert(last.to_owned(), value.clone());
        }
        root
    }
}

fn flatten(path: &str, table: Table, out: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => flatten(&path, inner, out),
            value => {
                out.insert(path, value);
            }
        }
    }
}

fn variable(prefix: &str, key: &str) -> String {
    format!("{prefix}_{}", key.replace(['.', '-'], "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Links {
        listen: String,
        patience: Millis,
        peers: Vec<String>,
        many: u16,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        links: Links,
    }

    fn settings() -> Settings {
        Settings::of(&Config::default())
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let mut layers = settings();
        layers.file("a.toml", "[links]\nlisten = \"file\"\nmany = 1\npatience = \"1s\"");
        let variables = [("TOKO_LINKS_LISTEN", "env"), ("TOKO_LINKS_MANY", "2"), ("OTHER", "x")];
        layers.environment("TOKO", variables.map(|(name, text)| (name.to_owned(), text.to_owned())));
        layers.flag("links.listen", "flag");
        layers.flag("links.peers", "a:1, b:2");
        let config: Config = layers.finish().unwrap();
        assert_eq!((config.links.listen.as_str(), config.links.many), ("flag", 2));
        assert_eq!(config.links.peers, ["a:1", "b:2"]);
        let origins: Vec<_> = layers.origins().map(|(key, _, origin)| format!("{key} {origin}")).collect();
        assert_eq!(
            origins,
            [
                "links.listen flag",
                "links.many environment TOKO_LINKS_MANY",
                "links.patience a.toml",
                "links.peers flag"
            ]
        );
    }

    #[test]
    fn every_unknown_key_and_every_wrong_type_is_named_with_its_path() {
        let mut layers = settings();
        layers.file("a.toml", "[links]\nlsten = \"x\"\nmany = \"two\"\n[other]\na = 1");
        layers.environment("TOKO", [("TOKO_LINKS_MANNY".to_owned(), "1".to_owned())]);
        let Problems(problems) = layers.finish::<Config>().unwrap_err();
        let expected = [
            "a.toml: links.lsten: there is no such setting",
            "a.toml: links.many: expected integer, found string",
            "a.toml: other.a: there is no such setting",
            "environment TOKO_LINKS_MANNY: there is no such setting",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_bad_duration_and_bad_toml_say_where() {
        let mut layers = settings();
        layers.file("a.toml", "[links]\npatience = \"2 parsecs\"");
        let problem = layers.finish::<Config>().unwrap_err().to_string();
        assert!(problem.contains("patience") || problem.contains("2 parsecs"), "{problem}");
        let mut layers = settings();
        layers.file("a.toml", "[links\n");
        assert!(layers.finish::<Config>().unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn durations_read_back_in_their_largest_unit() {
        for text in ["250ms", "2s", "15min", "1h", "0ms"] {
            assert_eq!(Millis::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Millis::parse("1500ms").unwrap().to_string(), "1500ms");
        assert_eq!(Millis::parse("5"), None);
        assert_eq!(Millis::parse("-1s"), None);
    }
}
