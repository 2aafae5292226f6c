//! The workflows there are: those built in, and the user's own files, which win over a built-in one of the same name.

use crate::problem::Problems;
use crate::workflow::Workflow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs};
use thiserror::Error;

/// File name and text of every built-in workflow.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("daily.toml", include_str!("../../daily.toml")),
    ("hourly.toml", include_str!("../../hourly.toml")),
    ("nightly.toml", include_str!("../../nightly.toml")),
    ("ledger-check.toml", include_str!("../../ledger-check.toml")),
    ("retention.toml", include_str!("../../retention.toml")),
    ("backup.toml", include_str!("../../backup.toml")),
    ("reference.toml", include_str!("../../reference.toml")),
    // One line per file.
];

/// Where a workflow came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is part of the program.
    BuiltIn,
    /// The user's file.
    File(PathBuf),
    /// A text or a stored definition.
    Text,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("built_in"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Text => f.write_str("text"),
        }
    }
}

/// Why there is no such workflow.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file is wrong.
    #[error(transparent)]
    Wrong(#[from] Problems),
    /// A file's name is not its workflow's name.
    #[error(
        "`{}` holds the workflow `{name}`; name the file {name}.{}",
        path.display(),
        path.extension().and_then(|ext| ext.to_str()).unwrap_or("toml")
    )]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The name in it.
        name: String,
    },
    /// Two files hold the same workflow.
    #[error("`{}` holds the workflow `{name}`, and so does another file beside it; keep one", path.display())]
    Twice {
        /// The file that is left out.
        path: PathBuf,
        /// The name in it.
        name: String,
    },
    /// No workflow of that name.
    #[error("there is no workflow `{name}`; there are: {known}")]
    Unknown {
        /// As asked.
        name: String,
        /// Those there are.
        known: String,
    },
}

/// All workflows by name.
///
/// * `folder` - the user's own, `<home>/config/workflows`; it need not exist.
///
/// # Errors
/// The first file that cannot be read or is wrong.
pub fn load(folder: &Path) -> Result<BTreeMap<String, Workflow>, CatalogueError> {
    let (all, wrong) = load_all(folder);
    wrong.into_iter().next().map_or(Ok(all), |(_, error)| Err(error))
}

/// All workflows that are fine, by name, and the user's files that are not. A wrong file also takes away the built-in
/// workflow it stands for: whoever replaced it does not want it back because of a slip.
///
/// * `folder` - the user's own, `<home>/config/workflows`; it need not exist.
pub fn load_all(folder: &Path) -> (BTreeMap<String, Workflow>, Vec<(PathBuf, CatalogueError)>) {
    let (mut all, mut wrong) = (BTreeMap::new(), Vec::new());
    for (file, text) in BUILT_IN {
        match Workflow::parse(file, text) {
            Ok(workflow) => _ = all.insert(workflow.name().to_owned(), from(workflow, Origin::BuiltIn)),
            Err(problems) => wrong.push((PathBuf::from(file), problems.into())),
        }
    }
    let files = own_files(folder).unwrap_or_else(|error| {
        wrong.push((folder.to_path_buf(), error));
        Vec::new()
    });
    let mut seen = BTreeSet::new();
    for path in files {
        let stem = stem(&path).to_owned();
        let workflow = read(&path).and_then(|workflow| {
            if seen.insert(stem.clone()) {
                Ok(workflow)
            } else {
                Err(CatalogueError::Twice { path: path.clone(), name: stem.clone() })
            }
        });
        match workflow {
            Ok(workflow) => _ = all.insert(stem, workflow),
            Err(error) => {
                // A file of the wrong name stands for nothing; what is there stays.
                if !matches!(error, CatalogueError::Misnamed { .. }) {
                    all.remove(&stem);
                }
                wrong.push((path, error));
            }
        }
    }
    (all, wrong)
}

/// The workflow of that name. Other files may be wrong.
///
/// # Errors
/// What is wrong with its file; [`CatalogueError::Unknown`] with the list of those there are.
pub fn find(folder: &Path, name: &str) -> Result<Workflow, CatalogueError> {
    let (mut all, wrong) = load_all(folder);
    if let Some(workflow) = all.remove(name) {
        return Ok(workflow);
    }
    // A folder that cannot be read may hold it.
    if let Some((_, error)) = wrong.into_iter().find(|(path, _)| path == folder || stem(path) == name) {
        return Err(error);
    }
    Err(CatalogueError::Unknown { name: name.to_owned(), known: all.into_keys().collect::<Vec<_>>().join(", ") })
}

/// The workflow in a file of its name.
///
/// # Errors
/// When the file cannot be read, is wrong, or has another name than its workflow.
pub fn read(path: &Path) -> Result<Workflow, CatalogueError> {
    let text = fs::read_to_string(path).map_err(|source| CatalogueError::Read { path: path.to_path_buf(), source })?;
    let shown = path.display().to_string();
    let json = path.extension().is_some_and(|ext| ext == "json");
    let workflow = if json { Workflow::parse_json(&shown, &text)? } else { Workflow::parse(&shown, &text)? };
    if stem(path) != workflow.name() {
        return Err(CatalogueError::Misnamed { path: path.to_path_buf(), name: workflow.name().to_owned() });
    }
    Ok(from(workflow, Origin::File(path.to_path_buf())))
}

fn from(mut workflow: Workflow, origin: Origin) -> Workflow {
    workflow.origin = origin;
    workflow
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// The `.toml` and `.json` files of the folder, sorted.
fn own_files(folder: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let fail = |source| CatalogueError::Read { path: folder.to_path_buf(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|ext| ext == "toml" || ext == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
