//! What the settings of hubs and terminals say alike of a receipt printer. Problems are gathered, each with its key.

use toko_devices::{Model, Picture, Profile};

/// The model of the printer that is named, or a common one of so many columns.
pub fn model(key: &str, named: &str, columns: u16, problems: &mut Vec<String>) -> Model {
    if !(24..=96).contains(&columns) {
        problems.push(format!("{key}.columns: {columns} is not between 24 and 96"));
    }
    let columns = usize::from(columns);
    let common = if columns <= 34 { Model::paper_58mm() } else { Model::paper_80mm() };
    match Profile::named(named) {
        Some(profile) => profile.model,
        None if named.is_empty() => Model { columns, ..common },
        None => {
            let like = Profile::like(named).join(", ");
            let like =
                if like.is_empty() { "leave it empty".to_owned() } else { format!("there are {like}") };
            problems.push(format!("{key}.model: \"{named}\" is not known; {like}"));
            common
        }
    }
}

/// The sign in a PNG file, no wider than the paper; an empty name means none.
pub fn sign(key: &str, file: &str, dots: usize, problems: &mut Vec<String>) -> Option<Picture> {
    if file.is_empty() {
        return None;
    }
    let read = std::fs::read(file).map_err(|problem| problem.to_string());
    match read.and_then(|bytes| Picture::from_png(&bytes, dots).map_err(|problem| problem.to_string())) {
        Ok(picture) => Some(picture),
        Err(problem) => {
            problems.push(format!("{key}.sign: {file}: {problem}"));
            None
        }
    }
}
