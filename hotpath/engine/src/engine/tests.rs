//! The engine as a whole: recorded captures, and scripts of everything that can happen.

mod captures;
mod garbage;
mod scripts;
mod stories;
