use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use millstream_core::change::Op;
use millstream_core::limits::SHARDS_MAX;
use millstream_core::mapping::{Part, Problem, Spec};
use millstream_core::name::{AppName, StreamName};
use millstream_engine::relay::StreamOptions;
use millstream_sql::identifier::Prefix;
use millstream_sql::sqlite::Handlers;

use crate::app::{App, SHARDS_DEFAULT};
use crate::config::check::Checker;
use crate::config::error::{Error, Finding};
use crate::config::file::{self, File};
use crate::config::location::Location;

/// How long a stream keeps its events where nothing is configured.
const RETENTION_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A configuration that makes sense in itself.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// Where events travel.
    pub transport: Location,
    /// The applications, by name.
    pub apps: BTreeMap<AppName, App>,
    /// Which rows the events of each application describe.
    pub sources: BTreeMap<AppName, Vec<Source>>,
    /// How long each configured stream keeps its events. 7 days by default.
    pub retention: BTreeMap<StreamName, Duration>,
    text: String,
    places: BTreeMap<AppName, Vec<Places>>,
}

/// A table whose rows are described by events of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The entity, as in `user` for `user.created`.
    pub event: String,
    /// The table.
    pub table: String,
    /// Fields of the event that identify the row, and the columns that they come from.
    pub key: Vec<(String, String)>,
    /// Fields of the event's data, and the columns that they come from.
    pub data: Vec<(String, String)>,
}

/// Where the parts of a mapping stand in the file.
#[derive(Debug, Clone)]
struct Places {
    whole: Range<usize>,
    on: Vec<Range<usize>>,
    table: Range<usize>,
    key: BTreeMap<String, Range<usize>>,
    set: BTreeMap<String, Range<usize>>,
    when: Option<Range<usize>>,
}

impl Config {
    /// Reads and checks a file. Relative files in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or with everything that is wrong in it, each with its
    /// line and what to do.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> Result<Self, Error> {
        let file: File = match toml::from_str(&text) {
            Ok(file) => file,
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let finding = Finding::new(path, &text, span, error.message(), None);
                return Err(Error::Findings(vec![finding]));
            }
        };
        let mut config = Self {
            path: path.into(),
            transport: Location::Memory,
            apps: BTreeMap::new(),
            sources: BTreeMap::new(),
            retention: BTreeMap::new(),
            text: String::new(),
            places: BTreeMap::new(),
        };
        let mut checker = Checker {
            path,
            text: &text,
            findings: Vec::new(),
        };
        config.read(file, &mut checker);
        if !checker.findings.is_empty() {
            return Err(Error::Findings(checker.findings));
        }
        config.text = text;
        Ok(config)
    }

    fn read(&mut self, file: File, checker: &mut Checker<'_>) {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let locate = |checker: &mut Checker<'_>, address: &Spanned<String>| {
            let expanded = checker.expand(address)?;
            let location = checker.address(address.span(), &expanded)?;
            Some(location.relative_to(&folder))
        };
        if let Some(location) = locate(checker, &file.transport.url) {
            self.transport = location;
        }

        let mut shards = BTreeMap::new();
        for (name, stream) in file.streams {
            let Some(name) = checker.take(name.span(), StreamName::new(name.get_ref())) else {
                continue;
            };
            let retention = stream.retention.and_then(|text| checker.duration(&text));
            self.retention
                .insert(name.clone(), retention.unwrap_or(RETENTION_DEFAULT));
            if let Some(count) = stream.shards {
                if (1..=SHARDS_MAX).contains(count.get_ref()) {
                    shards.insert(name, *count.get_ref());
                } else {
                    checker.find(
                        count.span(),
                        format!("shards go from 1 to {SHARDS_MAX}"),
                        None,
                    );
                }
            }
        }

        for (name, app) in file.apps {
            let Some(name) = checker.take(name.span(), AppName::new(name.get_ref())) else {
                continue;
            };
            let Some(database) = locate(checker, &app.database) else {
                continue;
            };
            if let Some(other) = self
                .apps
                .values()
                .find(|other| *other.location() == database)
            {
                let message = format!("{name} and {} share one database", other.name());
                let help = "give each application a database of its own".to_owned();
                checker.find(app.database.span(), message, Some(help));
            }
            self.read_app(&name, app, database, &shards, checker);
        }
        if self.apps.is_empty() && checker.findings.is_empty() {
            let help = "add a section [apps.NAME] with database = \"sqlite:FILE\"".to_owned();
            checker.find(0..0, "no application is configured", Some(help));
        }
    }

    fn read_app(
        &mut self,
        name: &AppName,
        file: file::App,
        database: Location,
        shards: &BTreeMap<StreamName, u16>,
        checker: &mut Checker<'_>,
    ) {
        let mut streams = |names: Vec<Spanned<String>>| -> Vec<StreamName> {
            names
                .into_iter()
                .filter_map(|name| checker.take(name.span(), StreamName::new(name.get_ref())))
                .collect()
        };
        let publishes = streams(file.publishes)
            .into_iter()
            .map(|name| {
                let shards = shards.get(&name).copied().unwrap_or(SHARDS_DEFAULT);
                StreamOptions::new(name, shards)
            })
            .collect();
        let subscribes = streams(file.subscribes);
        let prefix = file
            .table_prefix
            .and_then(|prefix| checker.take(prefix.span(), Prefix::new(prefix.get_ref())));
        let lease = file.lease.and_then(|lease| checker.duration(&lease));
        if let Some(batch_max) = &file.batch_max
            && !(1..=BATCH_MAX).contains(batch_max.get_ref())
        {
            checker.find(
                batch_max.span(),
                format!("batch_max goes from 1 to {BATCH_MAX}"),
                None,
            );
        }
        let (mappings, places) = file
            .map
            .into_iter()
            .filter_map(|map| read_map(map, checker))
            .unzip();
        let sources = file
            .source
            .into_iter()
            .map(|source| read_source(source.into_inner()));
        self.sources.insert(name.clone(), sources.collect());
        self.places.insert(name.clone(), places);
        self.apps.insert(
            name.clone(),
            App {
                name: name.clone(),
                database,
                prefix: prefix.unwrap_or_default(),
                publishes,
                subscribes,
                mappings,
                handlers: Handlers::default(),
                lease,
                batch_max: file.batch_max.map(Spanned::into_inner),
                take_over: false,
                from_oldest: false,
                begin_generation: false,
            },
        );
    }

    /// Finds the line of a problem that only the tables could tell.
    pub fn locate(&self, app: &AppName, problem: &Problem) -> Finding {
        let places = self
            .places
            .get(app)
            .and_then(|maps| maps.get(problem.mapping));
        let span = places.map_or(0..0, |places| places.find(&problem.part));
        Finding::new(
            &self.path,
            &self.text,
            span,
            &problem.message,
            problem.help.clone(),
        )
    }
}

/// Events of one transaction, at most: more only hold locks for longer.
const BATCH_MAX: usize = 10_000;

impl Places {
    fn find(&self, part: &Part) -> Range<usize> {
        let found = match part {
            Part::On(index) => self.on.get(*index),
            Part::Table => Some(&self.table),
            Part::Key(column) => self.key.get(column),
            Part::Set(column) => self.set.get(column),
            Part::When => self.when.as_ref(),
            Part::Whole => None,
        };
        found.unwrap_or(&self.whole).clone()
    }
}

fn read_map(map: Spanned<file::Map>, checker: &mut Checker<'_>) -> Option<(Spec, Places)> {
    let whole = map.span();
    let map = map.into_inner();
    let op = match (&map.mode, map.delete) {
        (None, false) => Op::Upsert,
        (None, true) => Op::Delete,
        (Some(mode), delete) => match (mode.get_ref().as_str(), delete) {
            ("upsert", false) => Op::Upsert,
            ("update", false) => Op::Update,
            (_, true) => {
                checker.find(mode.span(), "a mapping that deletes has no mode", None);
                return None;
            }
            _ => {
                let help = "use mode = \"upsert\" (the default) or mode = \"update\"".to_owned();
                checker.find(mode.span(), "unknown mode", Some(help));
                return None;
            }
        },
    };
    let places = Places {
        whole,
        on: map.on.iter().map(Spanned::span).collect(),
        table: map.table.span(),
        key: spans(&map.key),
        set: spans(&map.set),
        when: map.when.as_ref().map(Spanned::span),
    };
    let values = |table: file::Table<Spanned<file::Value>>| {
        table
            .into_iter()
            .map(|(column, value)| (column.into_inner(), value.into_inner().0))
            .collect()
    };
    let spec = Spec {
        on: map.on.into_iter().map(Spanned::into_inner).collect(),
        table: map.table.into_inner(),
        key: values(map.key),
        set: values(map.set),
        op,
        when: map.when.map(Spanned::into_inner),
    };
    Some((spec, places))
}

fn spans<T>(table: &file::Table<Spanned<T>>) -> BTreeMap<String, Range<usize>> {
    table
        .iter()
        .map(|(column, value)| {
            (
                column.get_ref().clone(),
                column.span().start..value.span().end,
            )
        })
        .collect()
}

fn read_source(source: file::Source) -> Source {
    let columns = |table: file::Table<Spanned<String>>| {
        table
            .into_iter()
            .map(|(field, column)| (field.into_inner(), column.into_inner()))
            .collect()
    };
    Source {
        event: source.event.into_inner(),
        table: source.table.into_inner(),
        key: columns(source.key),
        data: columns(source.data),
    }
}
